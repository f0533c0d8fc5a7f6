/** How a state stands, for its node. */
export interface NodeStatus {
  status: string;
  /** Shown as a small counter when it is more than one. */
  visits?: number;
  /** Under the name: "waits for a review", "3 of 5 failed". */
  note?: string;
  /** A colour instead of that of the status: an overlay such as the failure rate. 0 to 1. */
  heat?: number;
}
