export { SignInPage } from './SignInPage.tsx';
export { WelcomePage } from './WelcomePage.tsx';
