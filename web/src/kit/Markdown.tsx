import { useQuery } from '@tanstack/react-query';
import css from './Markdown.module.css';

/** Markdown that somebody else wrote: sanitised, images left out, links open in a tab of their own. */
export function Markdown({ text }: { text: string }) {
  const { data: html } = useQuery({
    queryKey: ['markdown', text],
    queryFn: () => import('./lazy/markdown.ts').then((m) => m.render(text)),
    staleTime: Infinity,
    gcTime: 60_000,
  });
  // Until the renderer is there, the text itself.
  if (html === undefined) return <div className={css.plain}>{text}</div>;
  return <div className={css.markdown} dangerouslySetInnerHTML={{ __html: html }} />;
}
