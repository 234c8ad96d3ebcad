/** One attribute of a request, candidate or event. */
export type AttributeValue = number | string | boolean | readonly number[] | readonly string[];

/** Attributes by name. Always a null-prototype object, because names come from outside. */
export type Attributes = Readonly<Record<string, AttributeValue>>;
