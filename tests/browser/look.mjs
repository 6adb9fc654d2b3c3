// Opens a page in Chromium without a network and prints, as one object, the texts and sizes that a person would see.
// usage: node look.mjs <file> <width>
import { pathToFileURL } from "node:url";

import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [file, width] = process.argv.slice(2);
let browser;
try {
  browser = await puppeteer.launch({
    args: [...chromium.args, "--no-sandbox"],
    executablePath: await chromium.executablePath(),
    headless: "shell",
  });
} catch (trouble) {
  if (!String(trouble).includes("error while loading shared libraries") && process.platform === "linux") throw trouble;
  console.log(JSON.stringify({ unavailable: String(trouble) }));
  process.exit(0);
}
const page = await browser.newPage();
await page.setViewport({ width: Number(width), height: 900 });
const troubles = [];
const requests = [];
page.on("console", (line) => ["error", "warn"].includes(line.type()) && troubles.push(line.text()));
page.on("pageerror", (error) => troubles.push(error.message));
page.on("request", (request) => requests.push(request.url().slice(0, 200)));
await page.setOfflineMode(true);
await page.goto(pathToFileURL(file).href, { waitUntil: "load" });
await page.waitForSelector(".x5tick", { timeout: 30_000 });

const found = await page.evaluate(() => {
  const texts = (selector) => [...document.querySelectorAll(selector)].map((node) => node.textContent);
  const boxes = (selector) => [...document.querySelectorAll(selector)].map((node) => node.getBoundingClientRect());
  const legends = ["legend", "legend2", "legend3", "legend4"];
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const named = [...boxes(".annotation-text"), ...boxes(legends.map((name) => `g.${name}`).join()), ...boxes(".modebar-group")];
  const overlaps = named.flatMap((a, i) => named.slice(i + 1).filter((b) => meet(a, b))).length;
  return {
    heading: document.querySelector("h1").textContent,
    lines: texts("li"),
    bad: texts("li.bad"),
    titles: texts(".annotation-text"),
    legends: legends.map((name) => texts(`.${name}text`)),
    kinds: texts(".y5tick text"),
    marks: document.querySelectorAll(".subplot.x5y5 .point").length,
    traces: document.querySelectorAll(".trace.scatter").length,
    overlaps,
    wide: document.documentElement.scrollWidth > window.innerWidth,
  };
});
await browser.close();
console.log(JSON.stringify({ ...found, troubles, requests }));
