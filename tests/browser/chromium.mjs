// Prints the path of the Chromium that npm has brought.
import chromium from "@sparticuz/chromium";

console.log(await chromium.executablePath());
