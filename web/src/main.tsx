import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import '@mantine/spotlight/styles.css';
import './app/tokens.css';
import './app/base.css';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { createRoot } from 'react-dom/client';
import { onSignedOut, sessionQuery } from './api/session.ts';
import { keepFresh } from './api/stream/patch.ts';
import { client } from './app/client.ts';
import { router } from './app/router.tsx';
import { cssVariables, theme } from './app/theme.ts';

onSignedOut(() => client.setQueryData(sessionQuery.queryKey, null));
keepFresh(client);

createRoot(document.getElementById('root')!).render(
  <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
      <Notifications position="bottom-right" autoClose={5000} />
    </QueryClientProvider>
  </MantineProvider>,
);
