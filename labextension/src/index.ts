import { sessionPlugin } from './session/plugin';

export default [sessionPlugin];
