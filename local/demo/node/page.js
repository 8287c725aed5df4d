// The home page: products and offers joined, descriptions turned into HTML, one string as the result.
import { createHash } from 'node:crypto';

const PRODUCTS = 120;

// What the services behind would answer; kept as text because parsing it is part of every request.
const catalogResponse = JSON.stringify(
  Array.from({ length: PRODUCTS }, (_, id) => ({
    id,
    title: `Product ${id}`,
    description: `A **solid** choice for *everyone* & anyone.\n\n- light\n- warm <new>\n- ${id % 7} years warranty`,
    cents: 499 + id * 37,
  })),
);
const offersResponse = JSON.stringify(
  Array.from({ length: PRODUCTS / 3 }, (_, i) => ({ product: i * 3, percent: 5 + (i % 20) })),
);

export function renderHomePage() {
  const products = joinOffers(JSON.parse(catalogResponse), JSON.parse(offersResponse));
  const html = `<!doctype html><title>acme</title><main>${products.map(renderProduct).join('')}</main>`;
  return { html, etag: entityTag(html) };
}

function joinOffers(products, offers) {
  const byProduct = new Map(offers.map((offer) => [offer.product, offer]));
  return products
    .map((product) => ({ ...product, percent: byProduct.get(product.id)?.percent ?? 0 }))
    .sort((a, b) => b.percent - a.percent || a.id - b.id);
}

function renderProduct({ title, description, cents, percent }) {
  const price = ((cents * (100 - percent)) / 100 / 100).toFixed(2);
  return `<article><h2>${escapeHtml(title)}</h2>${renderMarkdown(description)}<b>${price} EUR</b></article>`;
}

function renderMarkdown(text) {
  return text
    .split('\n\n')
    .map((block) => {
      const inline = escapeHtml(block)
        .replace(/\*\*(.+?)\*\*/g, '<strong>$1</strong>')
        .replace(/\*(.+?)\*/g, '<em>$1</em>');
      return inline.startsWith('- ')
        ? `<ul>${inline.split('\n').map((item) => `<li>${item.slice(2)}</li>`).join('')}</ul>`
        : `<p>${inline}</p>`;
    })
    .join('');
}

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function escapeHtml(text) {
  return text.replace(/[&<>"]/g, (character) => ESCAPES[character]);
}

function entityTag(html) {
  return `"${createHash('sha256').update(html).digest('base64url')}"`;
}
