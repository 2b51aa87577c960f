// The shell in the browser: filters and address, navigation, colour scheme.
// Each function belongs to a callback in dashboards/_shell/callbacks.py.
(function () {
    "use strict";

    // In the order of Filters.LISTS and of the inputs of filtersToQuery; tests/dashboards holds them together.
    const LISTS = ["site", "modality", "patient_class", "priority", "section", "device", "procedure", "protocol"];
    const DEFAULT_PERIOD = "90d";
    const STORAGE = "mantine-color-scheme-value"; // Mantine's own key: it reads the choice at its start
    const nothing = () => window.dash_clientside.no_update;

    // Joins as Filters.to_query does: form encoding, commas left as they are.
    function encoded(parts) {
        return parts.map(([key, value]) => key + "=" + encodeURIComponent(value).replace(/%20/g, "+").replace(/%2C/g, ",")).join("&");
    }

    function periodParts(period, days) {
        if (period === "custom") {
            return days && days[0] && days[1] ? [["from", days[0]], ["to", days[1]]] : null;
        }
        return period && period !== DEFAULT_PERIOD ? [["period", period]] : [];
    }

    function filtersToQuery(period, days, ...rest) {
        const [choices, choiceIds, before] = rest.slice(LISTS.length);
        const parts = periodParts(period, days);
        if (parts === null) {
            return nothing(); // half a range is no range yet
        }
        LISTS.forEach((name, index) => {
            const values = rest[index] || [];
            if (values.length) {
                parts.push([name, [...values].sort().join(",")]);
            }
        });
        choiceIds.forEach((id, index) => {
            if (choices[index] && choices[index] !== id.default) {
                parts.push([id.key, choices[index]]);
            }
        });
        const known = ["period", "from", "to", "page", ...LISTS, ...choiceIds.map((id) => id.key)];
        parts.push(...[...new URLSearchParams(before || "")].filter(([key]) => !known.includes(key)));
        const query = encoded(parts);
        if (query === before) {
            return nothing();
        }
        history.replaceState(history.state, "", location.pathname + (query ? "?" + query : ""));
        return query;
    }

    function showDays(period) {
        return period === "custom" ? "filter days" : "filter days closed";
    }

    // Only filters travel from page to page; what a page lets choose besides stays with it.
    function travelling(query) {
        const kept = ["period", "from", "to", ...LISTS];
        return encoded([...new URLSearchParams(query || "")].filter(([key]) => kept.includes(key)));
    }

    function navigation(query, ids) {
        const filters = travelling(query);
        const here = location.pathname;
        const active = ids.map((id) => (id.page === "/" ? here === "/" : here === id.page || here.startsWith(id.page + "/")));
        const hrefs = ids.map((id) => id.page + (filters ? "?" + filters : ""));
        requestAnimationFrame(() => {
            document.querySelectorAll(".navigation a").forEach((link, index) => {
                if (active[index]) {
                    link.setAttribute("aria-current", "page");
                } else {
                    link.removeAttribute("aria-current");
                }
            });
        });
        return [hrefs, active, false];
    }

    function openNavigation(opened, navbar) {
        return { ...navbar, collapsed: { mobile: !opened } };
    }

    function toggleFilters(clicks) {
        const open = clicks % 2 === 1;
        return [open ? "filter-bar open" : "filter-bar", String(open)];
    }

    function toggleMore(_clicks, css) {
        const open = css.includes("closed");
        return [open ? "filter-row more" : "filter-row more closed", open ? "Fewer filters" : "More filters", String(open)];
    }

    const device = matchMedia("(prefers-color-scheme: dark)");

    function storedScheme() {
        try {
            return localStorage.getItem(STORAGE) || "auto";
        } catch (error) {
            return "auto";
        }
    }

    function applyScheme(chosen) {
        const dark = chosen === "dark" || (chosen === "auto" && device.matches);
        document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
    }

    let started = false;

    function chooseTheme(chosen) {
        if (!started) {
            started = true; // the first call comes with the server's start value: the browser's memory wins
            return storedScheme();
        }
        try {
            localStorage.setItem(STORAGE, chosen);
        } catch (error) {
            // Not kept then; it still holds for this visit.
        }
        applyScheme(chosen);
        return nothing();
    }

    device.addEventListener("change", () => applyScheme(storedScheme()));

    // Charts are drawn for the scheme that is really shown. Mantine's own property reports "light" on a dark device
    // with the automatic choice, so the attribute is watched instead.
    function announceScheme() {
        const shown = document.documentElement.getAttribute("data-mantine-color-scheme");
        if (shown && document.getElementById("content")) {
            window.dash_clientside.set_props("shell-theme", { data: shown });
            return true;
        }
        return false;
    }

    new MutationObserver(announceScheme).observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme"] });
    const arrival = new MutationObserver(() => {
        if (announceScheme()) {
            arrival.disconnect();
        }
    });
    arrival.observe(document.documentElement, { childList: true, subtree: true });

    // The skip link moves the focus too: Dash would take the address with a fragment for a new page.
    document.addEventListener("click", (event) => {
        const link = event.target.closest && event.target.closest(".skip-link");
        if (link) {
            event.preventDefault();
            document.getElementById("content").focus();
        }
    });

    window.dash_clientside = Object.assign({}, window.dash_clientside, {
        shell: { filtersToQuery, showDays, navigation, openNavigation, toggleFilters, toggleMore, chooseTheme },
    });
})();
