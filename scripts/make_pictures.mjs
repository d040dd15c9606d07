// Pictures of a report's page for docs/report.md: PAGE FOLDER.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [file, folder] = process.argv.slice(2);
const { chromium } = createRequire(path.join(process.env.TOOLS, "package.json"))("playwright-core");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });

async function picture(name, { width, height, dark = false, from = "body" }) {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: dark ? "dark" : "light" });
  await page.goto(pathToFileURL(file).href);
  await page.locator(from).first().evaluate((element) => window.scrollTo(0, element.getBoundingClientRect().top));
  await page.screenshot({ path: path.join(folder, name) });
  await page.close();
}

await picture("report-desktop.png", { width: 900, height: 1800 });
await picture("report-phone.png", { width: 400, height: 1000, dark: true });
await picture("report-models.png", { width: 900, height: 1740, from: "#models" });
await browser.close();
