// Stepping through versions: the slider shows the version it stands at.
"use strict";
(() => {
  const main = document.getElementById("main");
  let timer;

  function show(form, version) {
    const url = new URL(location.href);
    if (version >= Number(form.dataset.last)) url.searchParams.delete("version");
    else url.searchParams.set("version", version);
    history.replaceState(null, "", url);
    main.dispatchEvent(new CustomEvent("croupier:refresh"));
  }

  // The page is mended while it is open: listen where nothing is replaced.
  main.addEventListener("input", (event) => {
    if (event.target.id !== "version") return;
    const form = event.target.form;
    const version = Number(event.target.value);
    form.querySelector("output").textContent = version;
    clearTimeout(timer);
    timer = setTimeout(show, 200, form, version);
  });
})();
