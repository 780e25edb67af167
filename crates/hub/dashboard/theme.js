// Sets the chosen theme before the first paint. A classic script on purpose: modules run too late.
(function () {
  try {
    var theme = localStorage.getItem("sickbay.theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch (error) {
    // Storage is off: the system's preference holds.
  }
})();
