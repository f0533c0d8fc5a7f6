import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from '@mantine/core';
import { common } from '../strings/index.ts';

// Shade 8 is what filled buttons have in both themes: white on it has 6:1.
const accent: MantineColorsTuple = [
  '#e8f4ff', '#cfe6ff', '#9fcdfb', '#6cb2f7', '#459bee', '#2a88de', '#1977cb', '#0f68b6', '#0b5ea6', '#084a85',
];

// What Mantine's own parts are made of in the dark theme: the greys of the token layer.
const dark: MantineColorsTuple = [
  '#e4eaf1', '#c3ccd8', '#9aa7b8', '#77869a', '#465466', '#2a3543', '#1e2834', '#151c25', '#10161d', '#0d131a',
];

/** Mantine's theme: sizes, fonts and the accent. Colours with a meaning are in tokens.css. */
export const theme = createTheme({
  primaryColor: 'accent',
  primaryShade: 8,
  colors: { accent, dark },
  fontFamily: 'var(--ls-font)',
  fontFamilyMonospace: 'var(--ls-mono)',
  fontSizes: { xs: '11.5px', sm: '13px', md: '13.5px', lg: '15px', xl: '18px' },
  lineHeights: { xs: '1.4', sm: '1.45', md: '1.5', lg: '1.5', xl: '1.4' },
  spacing: { xs: '8px', sm: '12px', md: '16px', lg: '20px', xl: '32px' },
  radius: { xs: '4px', sm: '6px', md: '8px', lg: '12px', xl: '16px' },
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  headings: {
    fontWeight: '620',
    sizes: {
      h1: { fontSize: '20px', lineHeight: '1.3' },
      h2: { fontSize: '16px', lineHeight: '1.35' },
      h3: { fontSize: '14px', lineHeight: '1.4' },
      h4: { fontSize: '13.5px', lineHeight: '1.4' },
    },
  },
  components: {
    Button: { defaultProps: { size: 'xs' } },
    ActionIcon: { defaultProps: { variant: 'subtle', color: 'gray', size: 28 } },
    TextInput: { defaultProps: { size: 'xs' } },
    Textarea: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs', comboboxProps: { shadow: 'md' } } },
    MultiSelect: { defaultProps: { size: 'xs' } },
    NumberInput: { defaultProps: { size: 'xs' } },
    PasswordInput: { defaultProps: { size: 'xs' } },
    Checkbox: { defaultProps: { size: 'xs' }, styles: { label: { fontSize: '13px' } } },
    Switch: { defaultProps: { size: 'xs' }, styles: { label: { fontSize: '13px' }, description: { fontSize: '12px' } } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    Tooltip: { defaultProps: { openDelay: 350, transitionProps: { duration: 100 }, withArrow: false } },
    // Its placeholder for the focus is nothing that may be in a menu; without it the first item has the focus.
    Menu: { defaultProps: { shadow: 'md', transitionProps: { duration: 80 }, withInitialFocusPlaceholder: false } },
    Notification: { defaultProps: { closeButtonProps: { 'aria-label': common.close } } },
    // A dialog's head is no banner of the page.
    Modal: { defaultProps: { centered: true, transitionProps: { duration: 120 }, attributes: { header: { role: 'presentation' } } } },
    Drawer: { defaultProps: { attributes: { header: { role: 'presentation' } } } },
    Popover: { defaultProps: { shadow: 'md', transitionProps: { duration: 80 } } },
  },
});

/** Makes Mantine's own variables follow the token layer. */
export const cssVariables: CSSVariablesResolver = () => {
  const shared = {
    '--mantine-color-body': 'var(--ls-surface)',
    '--mantine-color-text': 'var(--ls-text)',
    '--mantine-color-dimmed': 'var(--ls-dim)',
    '--mantine-color-placeholder': 'var(--ls-dim)',
    '--mantine-color-anchor': 'var(--ls-accent)',
    '--mantine-color-default': 'var(--ls-surface)',
    '--mantine-color-default-hover': 'var(--ls-hover)',
    '--mantine-color-default-border': 'var(--ls-border-strong)',
    '--mantine-color-default-color': 'var(--ls-text)',
    '--mantine-color-error': 'var(--ls-failed)',
    '--mantine-color-gray-light-color': 'var(--ls-dim)',
    '--mantine-color-gray-light-hover': 'var(--ls-hover)',
    '--mantine-color-gray-text': 'var(--ls-dim)',
    '--mantine-color-accent-text': 'var(--ls-accent)',
    '--mantine-color-accent-light': 'var(--ls-running-tint)',
    '--mantine-color-accent-light-color': 'var(--ls-running)',
    '--mantine-color-red-light': 'var(--ls-failed-tint)',
    '--mantine-color-red-light-color': 'var(--ls-failed)',
    '--mantine-color-red-text': 'var(--ls-failed)',
  };
  return { variables: {}, light: shared, dark: shared };
};
