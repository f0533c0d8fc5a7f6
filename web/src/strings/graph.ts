export const graph = {
  outline: 'Outline',
  closeOutline: 'Close outline',
  zoomIn: 'Zoom in',
  zoomOut: 'Zoom out',
  fit: 'Show all',
  keys: 'Graph',
  visits: (n: number) => (n === 1 ? '1 visit' : `${n} visits`),
  inside: (n: number) => (n === 1 ? '1 state inside' : `${n} states inside`),
  open: (name: string) => `Expand ${name}`,
  close: (name: string) => `Collapse ${name}`,
  leadsTo: (names: string) => `leads to ${names}`,
};
