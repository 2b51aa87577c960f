// The day board: arrow keys turn the day, as its two links do.
(function () {
    "use strict";

    const LINKS = { ArrowLeft: "a.day-previous", ArrowRight: "a.day-next" };
    const WRITES = "input, textarea, select, [role=textbox], [role=combobox], [role=listbox], [role=radiogroup], [contenteditable]";

    document.addEventListener("keydown", (event) => {
        const found = LINKS[event.key];
        if (!found || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest(WRITES)) {
            return;
        }
        const link = document.querySelector(found);
        if (link && !event.target.closest(".table-scroll")) {
            event.preventDefault();
            link.click();
        }
    });
})();
