/**
 * Text that represents an absent value: the control character SUBSTITUTE, which no text of a request should contain.
 */
export const ABSENT_TEXT = '\u001a';
