import { LabIcon } from '@jupyterlab/ui-components';

/** A gauge; drawn in the colour of the theme. */
export const sessionIcon = new LabIcon({
  name: 'aiinfn:session',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16">' +
    '<path class="jp-icon3 jp-icon-selectable" fill="#616161" d="M12 4a10 10 0 0 0-8.7 15h17.4A10 10 0 0 0 12 4zm0 2a8 8 0 0 1 7.5 11h-15A8 8 0 0 1 12 6zm4.6 2.6-5.4 4.2a1.7 1.7 0 1 0 2 2z"/>' +
    '</svg>'
});
