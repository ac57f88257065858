// The page's entry: TensorBoard imports this module into an empty frame and calls render(). What takes longest is begun first.

const runs = globalThis.featureMapsSource ? null : fetch("runs").catch(() => null);

export async function render() {
  document.documentElement.lang = "en";
  document.title = "Feature maps";
  const page = import("./main.js");
  await Promise.all(["vendor/uplot.css", "style.css", "views.css"].map(stylesheet));
  (await page).start(runs);
}

function stylesheet(name) {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL(name, import.meta.url).href;
  const loaded = new Promise((resolve) => (link.onload = link.onerror = resolve));
  document.head.append(link);
  return loaded;
}
