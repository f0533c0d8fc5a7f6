/** The path that the console is served under, with a slash at both ends: "/" or "/prefix/". The server says it in <base href>. */
export const basePath: string = new URL('.', document.baseURI).pathname;

/** The address of something on the server, from a path that begins with a slash. */
export function onServer(path: string): string {
  return basePath + path.replace(/^\//, '');
}
