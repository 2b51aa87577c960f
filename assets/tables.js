// Builds the real table behind a `data-table` attribute. A table of a thousand cells is then one component to Dash,
// which otherwise asks each of them after every change of its state (17 s on one page, measured).
(function () {
    "use strict";

    function cell(tag, content, css, scope) {
        const made = document.createElement(tag);
        const [text, href] = Array.isArray(content) ? content : [content, null];
        if (scope) {
            made.scope = scope;
        }
        made.className = css;
        if (href) {
            const link = document.createElement("a");
            link.href = href;
            link.textContent = text;
            made.append(link);
        } else {
            made.textContent = text;
        }
        return made;
    }

    function row(cells) {
        const made = document.createElement("tr");
        made.append(...cells);
        return made;
    }

    function build(place) {
        const content = JSON.parse(place.getAttribute("data-table"));
        const table = document.createElement("table");
        table.className = "data-table";
        const caption = table.createCaption();
        caption.className = "visually-hidden";
        caption.textContent = content.caption;
        table.createTHead().append(row(content.head.map(([title, css]) => cell("th", title, css, "col"))));
        const body = table.createTBody();
        body.append(...content.rows.map((cells) => row(cells.map((one, index) => {
            const css = content.head[index][1];
            return index === 0 ? cell("th", one, css, "row") : cell("td", one, css, null);
        }))));
        place.replaceChildren(table);
    }

    function buildAll(node) {
        if (node.nodeType === Node.ELEMENT_NODE) {
            if (node.hasAttribute("data-table")) {
                build(node);
            }
            node.querySelectorAll("[data-table]").forEach(build);
        }
    }

    new MutationObserver((changes) => {
        changes.forEach((change) => {
            if (change.type === "attributes") {
                build(change.target);
            } else {
                change.addedNodes.forEach(buildAll);
            }
        });
    }).observe(document.documentElement, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-table"] });

    // A link in a table changes the page as Dash's own links do, without loading the program again.
    document.addEventListener("click", (event) => {
        const link = event.target.closest && event.target.closest("[data-table] a");
        if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
            return;
        }
        event.preventDefault();
        history.pushState({}, "", link.href);
        window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
        window.scrollTo(0, 0);
    });
})();
