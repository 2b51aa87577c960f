// Runs before anything is painted, so that a dark page does not flash white.
(function () {
    var chosen = "auto";
    try {
        chosen = localStorage.getItem("mantine-color-scheme-value") || "auto";
    } catch (error) {
        // Storage can be switched off; then the device decides.
    }
    var dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
