import createDOMPurify from 'dompurify';
import { Marked } from 'marked';

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

// HTML within Markdown is shown as the text that it is. What is made of the rest
// is sanitised all the same.
// Headings begin two levels lower: the page's own are above them.
const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  walkTokens: (token) => {
    if (token.type === 'heading') token.depth = Math.min(6, token.depth + 2);
  },
  renderer: { html: ({ text }) => text.replace(/[&<>"]/g, (c) => escapes[c]!), image: ({ text, href }) => `${text.replace(/[&<>"]/g, (c) => escapes[c]!)} (${href.replace(/[&<>"]/g, (c) => escapes[c]!)})` },
});
const purify = createDOMPurify(window);

purify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer nofollow');
  }
});

/** Turns Markdown into HTML that can do nothing: no scripts, styles, forms, frames or pictures from elsewhere. */
export function render(text: string): string {
  if (!purify.isSupported) throw new Error('this browser cannot sanitise HTML');
  const html = marked.parse(text.slice(0, 200_000), { async: false });
  return purify.sanitize(html, {
    ALLOWED_TAGS: ['p', 'br', 'hr', 'em', 'strong', 'del', 'code', 'pre', 'blockquote', 'ul', 'ol', 'li', 'a', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'input'],
    ALLOWED_ATTR: ['href', 'title', 'start', 'type', 'checked', 'disabled', 'align'],
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|#|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
  });
}
