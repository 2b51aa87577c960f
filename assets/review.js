// Keys of the dose office: J and K go down and up the inbox; in a case N opens the next, I the inbox, C the verdict.
(function () {
    "use strict";

    const typing = (target) => target.closest("input, select, textarea, [contenteditable]");

    function step(place, by) {
        const links = [...place.querySelectorAll("tbody .row-link")];
        const now = document.activeElement && document.activeElement.closest("tr");
        const at = links.findIndex((link) => link.closest("tr") === now);
        const next = links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)];
        if (next) {
            next.focus();
            next.scrollIntoView({ block: "nearest" });
        }
    }

    function follow(id) {
        const link = document.getElementById(id);
        if (link) {
            link.click();
        }
    }

    function verdict() {
        const first = document.querySelector("#case-verdict select, #case-verdict textarea, #case-verdict button");
        if (first) {
            first.focus();
        }
    }

    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) {
            return;
        }
        const rows = document.querySelector('[data-keys="rows"]');
        const tick = event.target.matches && event.target.matches('input[type="checkbox"]');
        if (typing(event.target) && !(tick && rows)) {
            return;
        }
        const key = event.key.toLowerCase();
        if (rows) {
            if (key === "j" || key === "k") {
                event.preventDefault();
                step(rows, key === "j" ? 1 : -1);
            } else if (event.key === " " && event.target.matches(".row-link")) {
                event.preventDefault();
                const box = event.target.closest("tr").querySelector('input[type="checkbox"]');
                box.checked = !box.checked;
            }
            return;
        }
        if (document.querySelector('[data-keys="case"]')) {
            const actions = { n: () => follow("case-next"), i: () => follow("case-inbox"), c: verdict };
            if (actions[key]) {
                event.preventDefault();
                actions[key]();
            }
        }
    });

    // A link of a form's row changes the page as Dash's own links do.
    document.addEventListener("click", (event) => {
        const link = event.target.closest && event.target.closest("a.row-link");
        if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
            return;
        }
        event.preventDefault();
        history.pushState({}, "", link.href);
        window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
        window.scrollTo(0, 0);
    });
})();
