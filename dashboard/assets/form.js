// Rows come and go without leaving the page, and what will be sent follows what is typed. The form works without it.
"use strict";
(() => {
  const form = document.getElementById("definition");
  let timer;
  let newest = 0;

  // What the server makes of the form, with a button as if it were pressed.
  async function ask(wish) {
    const body = new URLSearchParams(new FormData(form));
    body.set("do", wish);
    const answer = await fetch(form.action, { method: "POST", body, signal: AbortSignal.timeout(20000) });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.getElementById("definition");
  }

  form.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    const wish = button?.value ?? "";
    if (!/^(add|remove)-|^recommend$/.test(wish)) return;
    event.preventDefault();
    newest += 1;
    clearTimeout(timer);
    try {
      const fresh = await ask(wish);
      if (!fresh) throw new Error("no form came back");
      form.replaceChildren(...fresh.childNodes);
      const group = wish.split("-")[1];
      const rows = group && form.querySelectorAll(`[name^="${group}["]:not([type=hidden])`);
      const last = rows && [...rows].filter((input) => /\.(id|name|event)$/.test(input.name)).at(-1);
      const add = form.querySelector(`button[value="add-${group}"]`);
      (wish.startsWith("add-") ? last : add ?? form.querySelector(`button[value="${wish}"]`))?.focus();
    } catch {
      // As without this script.
      const pressed = Object.assign(document.createElement("input"), { type: "hidden", name: "do", value: wish });
      form.append(pressed);
      form.submit();
    }
  });

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      newest += 1;
      const mine = newest;
      const fresh = await ask("preview").catch(() => null);
      const preview = fresh?.querySelector("#preview");
      if (preview && mine === newest) document.getElementById("preview").replaceWith(preview);
    }, 400);
  });
})();
