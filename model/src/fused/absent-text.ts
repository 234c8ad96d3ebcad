/** Text that stands for an absent value: the control character SUBSTITUTE, which no text of a request should hold. */
export const ABSENT_TEXT = '\u001a';
