// Draws plots and keeps a running experiment's page current. Every page can be read without it.
"use strict";
(() => {
  const main = document.getElementById("main");
  const connection = document.getElementById("connection");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const drawn = new WeakMap();
  const ruler = document.createElement("canvas").getContext("2d");
  const sizes = new ResizeObserver((changes) => {
    for (const { target } of changes)
      if (target.clientWidth && target.clientWidth !== Number(target.dataset.width)) show(target, drawn.get(target));
  });
  let timer;

  async function get(url) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(20000) }).catch(() => {
      throw new Error("the server did not answer");
    });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    return answer;
  }

  // Plotly breaks no lines. Japanese has no spaces, and may break between any two letters.
  function broken(text, width, font) {
    ruler.font = font;
    const lines = [""];
    for (const part of (text ?? "").match(/[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+\s*/g) ?? []) {
      const longer = lines.at(-1) + part;
      if (lines.at(-1) && ruler.measureText(longer.trimEnd()).width > width) lines.push(part);
      else lines[lines.length - 1] = longer;
    }
    return lines.map((line) => line.trim()).join("<br>");
  }

  // Text and lines take the page's colours, light or dark, and the room that there is.
  function themed(div, layout) {
    const style = getComputedStyle(div);
    const font = `${layout.font.size + 3}px ${style.fontFamily}`;
    ruler.font = font;
    const names = (layout.yaxis.categoryarray ?? []).map((name) => ruler.measureText(name).width);
    const [wide, high] = [div.clientWidth - 80 - Math.max(0, ...names), (layout.height ?? div.clientHeight) - 70];
    const title = (a, length) => a.title && { ...a.title, text: broken(a.title.text, length, font) };
    // A date, which is written below the first hour of each day, needs this many pixels.
    const ticks = (a) => (a.type === "date" ? Math.max(2, Math.min(a.nticks ?? 6, Math.floor(wide / 130))) : a.nticks);
    const line = style.getPropertyValue("--line").trim();
    const hover = { bgcolor: style.getPropertyValue("--card").trim(), bordercolor: line, font: { color: style.color } };
    const axis = (a) => ({ ...a, gridcolor: line, linecolor: line, zerolinecolor: line, fixedrange: coarse || a.fixedrange });
    return {
      ...layout,
      font: { ...layout.font, color: style.color, family: style.fontFamily },
      hoverlabel: hover,
      xaxis: { ...axis(layout.xaxis), title: title(layout.xaxis, wide), nticks: ticks(layout.xaxis) },
      yaxis: { ...axis(layout.yaxis), title: title(layout.yaxis, high) },
      annotations: layout.annotations?.map((a) => (a.xref === "paper" ? { ...a, text: broken(a.text, wide, font) } : a)),
      dragmode: coarse ? false : "zoom",
      // A zoom outlives a refresh.
      uirevision: "kept",
    };
  }

  function show(div, figure) {
    const first = !drawn.has(div);
    if (first) {
      div.replaceChildren();
      div.setAttribute("role", "img");
    }
    drawn.set(div, figure);
    const { data, layout, config } = figure;
    div.dataset.width = div.clientWidth;
    sizes.observe(div);
    return (first ? Plotly.newPlot : Plotly.react)(div, data, themed(div, layout), { ...config, responsive: false });
  }

  async function draw(div) {
    try {
      if (typeof Plotly === "undefined") throw new Error("the plotting script did not load");
      await show(div, await (await get(div.dataset.plot)).json());
    } catch (e) {
      // An older drawing is worth more than a message.
      if (drawn.has(div)) return;
      const text = document.createElement("p");
      text.className = "failed";
      text.textContent = `${main.dataset.plotFailed} (${e.message})`;
      div.replaceChildren(text);
    }
  }

  // Makes `old` like `fresh` and leaves alone what is equal, so that focus, scrolling and selection stay.
  function mend(old, fresh) {
    if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.classList.contains("plot") !== fresh.classList.contains("plot")) return old.replaceWith(fresh);
    if (old.classList.contains("plot")) {
      const { plot, version } = fresh.dataset;
      if (old.dataset.plot === plot && old.dataset.version === version) return;
      Object.assign(old.dataset, { plot, version });
      draw(old);
      return;
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    const now = [...old.childNodes];
    const next = [...fresh.childNodes];
    next.forEach((node, i) => (now[i] ? mend(now[i], node) : old.append(node)));
    now.slice(next.length).forEach((node) => node.remove());
  }

  async function refresh() {
    const answer = await get(location.href);
    if (new URL(answer.url).pathname !== location.pathname) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Segments change places: what is open goes by name.
    const open = new Set([...main.querySelectorAll("details[open]")].map((d) => d.dataset.key));
    mend(main, page.getElementById("main"));
    for (const d of main.querySelectorAll("details")) d.open = open.has(d.dataset.key);
    for (const div of main.querySelectorAll(".plot")) if (!div.dataset.met) meet(div);
    document.title = page.title;
  }

  async function tick() {
    if (!document.hidden) {
      try {
        await refresh();
        connection.textContent = "";
      } catch (e) {
        connection.textContent = `${connection.dataset.still} (${e.message})`;
      }
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    const seconds = Number(main.dataset.refreshSeconds);
    if (seconds > 0) timer = setTimeout(tick, seconds * 1000);
  }

  function meet(div) {
    div.dataset.met = "yes";
    draw(div);
  }

  main.addEventListener("croupier:refresh", tick);
  main.querySelectorAll(".plot").forEach(meet);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const div of main.querySelectorAll(".plot")) if (drawn.has(div)) show(div, drawn.get(div));
  });
  plan();
})();
