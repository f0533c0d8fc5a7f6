export { AgentsPage } from './AgentsPage.tsx';
export { AgentPage } from './AgentPage.tsx';
