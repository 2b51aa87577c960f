// Builds the forms that people decide with from a `data-form` attribute (dashboards/_shell/forms.py), sends them, puts
// each error beside its field, and draws the page anew when what was decided is in the star.
(function () {
    "use strict";

    const POLL_MS = 2000;
    let count = 0;

    function element(tag, attributes, ...children) {
        const made = document.createElement(tag);
        Object.entries(attributes || {}).forEach(([name, value]) => {
            if (value === true) {
                made.setAttribute(name, "");
            } else if (value !== false && value !== null && value !== undefined && value !== "") {
                made.setAttribute(name, value);
            }
        });
        made.append(...children);
        return made;
    }

    function options(select, groups, value) {
        groups.forEach(([heading, pairs]) => {
            const made = pairs.map(([code, words]) => {
                const one = element("option", {}, words);
                one.value = code;
                one.selected = code === value;
                return one;
            });
            select.append(...(heading ? [element("optgroup", { label: heading }, ...made)] : made));
        });
    }

    // The control of a field; its name to screen readers comes from a label or from `spoken`.
    function control(field, id, spoken) {
        const common = { id, name: field.name, "aria-label": spoken, "aria-required": field.required ? "true" : null };
        if (field.kind === "select") {
            const made = element("select", common);
            options(made, field.options, field.value);
            return made;
        }
        if (field.kind === "textarea") {
            return element("textarea", { ...common, rows: "2" }, field.value);
        }
        return element("input", { ...common, type: field.kind, value: field.value, step: field.step, autocomplete: "off" });
    }

    function labelled(field) {
        const id = "field-" + ++count;
        const made = element("div", { class: "field" }, element("label", { for: id }, field.label));
        const input = control(field, id, null);
        made.append(input);
        if (field.help) {
            made.append(element("p", { class: "help", id: id + "-help" }, field.help));
            input.setAttribute("aria-describedby", id + "-help");
        }
        return made;
    }

    function ticks(form) {
        return [...form.querySelectorAll("tbody input[type=checkbox]")];
    }

    function rowsTable(form, content, name) {
        const all = element("input", { type: "checkbox", "aria-label": "Choose all that are shown" });
        all.addEventListener("change", () => ticks(form).forEach((one) => { one.checked = all.checked; }));
        const head = element("tr", {}, element("th", { scope: "col", class: "tick" }, all), ...content.head.map((title) => element("th", { scope: "col" }, title)));
        const body = content.rows.map((row) => {
            const id = "field-" + ++count;
            const tick = element("input", { type: "checkbox", name: "chosen", id, "aria-label": row.href ? row.label : null });
            tick.value = row.value;
            return element("tr", {},
                element("td", { class: "tick" }, tick),
                element("th", { scope: "row" }, row.href ? element("a", { href: row.href, class: "row-link" }, row.label) : element("label", { for: id }, row.label)),
                ...row.cells.map((text) => element("td", {}, text)),
                element("td", { class: "field" }, control(row.choice, "field-" + ++count, row.choice.label)));
        });
        const table = element("table", { class: "data-table" },
            element("caption", { class: "visually-hidden" }, name), element("thead", {}, head), element("tbody", {}, ...body));
        return element("div", { class: "table-scroll form-rows", tabindex: "0", role: "region", "aria-label": name }, table);
    }

    function build(place) {
        const content = JSON.parse(place.getAttribute("data-form"));
        const name = place.getAttribute("data-form-name");
        const form = element("form", { action: content.action, method: "post", novalidate: true, "aria-label": name, class: content.is_quiet ? "decide quiet" : "decide" });
        Object.entries(content.hidden).forEach(([key, value]) => form.append(element("input", { type: "hidden", name: key, value })));
        if (content.rows.length) {
            form.append(rowsTable(form, content, name));
        }
        form.append(element("div", { class: "field-row" }, ...content.fields.map(labelled)));
        form.append(element("p", { class: "form-error", role: "alert" }));
        form.append(element("div", { class: "form-end" },
            element("button", { type: "submit", class: content.is_quiet ? "button" : "button primary" }, content.submit),
            element("span", { class: "form-said", role: "status" })));
        form.addEventListener("submit", (event) => {
            event.preventDefault();
            send(form);
        });
        place.replaceChildren(form);
    }

    function clear(form) {
        form.querySelectorAll(".field-error").forEach((one) => one.remove());
        form.querySelectorAll("[aria-invalid]").forEach((one) => {
            one.removeAttribute("aria-invalid");
            one.removeAttribute("aria-errormessage");
        });
        form.querySelector(".form-error").textContent = "";
        form.querySelector(".form-said").textContent = "";
    }

    function refuse(form, errors) {
        Object.entries(errors).forEach(([name, text]) => {
            const input = name && name !== "chosen" ? form.elements.namedItem(name) : null;
            if (!input) {
                form.querySelector(".form-error").textContent = text;
                return;
            }
            const id = input.id + "-error";
            input.setAttribute("aria-invalid", "true");
            input.setAttribute("aria-errormessage", id);
            input.after(element("p", { class: "field-error", id, role: "alert" }, text));
        });
        const first = form.querySelector("[aria-invalid]");
        if (first) {
            first.focus();
        }
    }

    async function send(form) {
        if (form.dataset.sending) {
            return; // sent already; its answer is not here yet
        }
        form.dataset.sending = "yes";
        const button = form.querySelector("button[type=submit]");
        button.setAttribute("aria-disabled", "true");
        clear(form);
        const said = form.querySelector(".form-said");
        said.textContent = "Sending…";
        try {
            // By the attribute: a field may be named `action`, and would hide the property.
            const answer = await fetch(form.getAttribute("action"), { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
            const body = (answer.headers.get("Content-Type") || "").includes("json") ? await answer.json() : { error: await answer.text() };
            said.textContent = "";
            if (answer.ok) {
                said.textContent = body.message;
                ticks(form).forEach((one) => { one.checked = false; });
                arrive(body);
            } else {
                refuse(form, body.errors || { "": body.error || "This could not be kept. Try again." });
            }
        } catch (error) {
            said.textContent = "";
            refuse(form, { "": "The server did not answer, so nothing is known to be kept. Try again: the same decision is kept once." });
        } finally {
            delete form.dataset.sending;
            button.removeAttribute("aria-disabled");
        }
    }

    // After an answer: on to the page that it names, else this page anew.
    function arrive(body) {
        if (body.go) {
            history.pushState({}, "", body.go);
            window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
            window.scrollTo(0, 0);
            return;
        }
        redraw();
        if (body.effect) {
            show(body.effect);
            watch();
        }
    }

    // Sections are drawn anew when the query is set, though it is the same one.
    function redraw() {
        if (document.getElementById("content")) {
            window.dash_clientside.set_props("shell-query", { data: location.search.slice(1) });
        }
    }

    function show(effect) {
        document.querySelectorAll("[data-effect]").forEach((place) => {
            place.className = "effect " + effect.state;
            place.querySelector(".effect-words").textContent = effect.words;
        });
    }

    let watching = false;

    async function watch() {
        if (watching) {
            return;
        }
        watching = true;
        try {
            let state = "running";
            while (state === "running") {
                await new Promise((done) => setTimeout(done, POLL_MS));
                const answer = await fetch("/publish/effect", { headers: { Accept: "application/json" } });
                if (!answer.ok) {
                    return;
                }
                const effect = await answer.json();
                state = effect.state;
                show(effect);
            }
            redraw();
        } catch (error) {
            // The server is away for now; the next visit shows the state.
        } finally {
            watching = false;
        }
    }

    function noticed(node) {
        if (node.nodeType !== Node.ELEMENT_NODE) {
            return;
        }
        const within = (attribute) => [...(node.hasAttribute(attribute) ? [node] : []), ...node.querySelectorAll("[" + attribute + "]")];
        within("data-form").forEach(build);
        if (within("data-effect").some((place) => place.getAttribute("data-effect") === "running")) {
            watch();
        }
    }

    new MutationObserver((changes) => {
        changes.forEach((change) => {
            if (change.type === "attributes") {
                build(change.target);
            } else {
                change.addedNodes.forEach(noticed);
            }
        });
    }).observe(document.documentElement, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-form"] });
})();
