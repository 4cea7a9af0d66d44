package batch

// SmallBlocks makes the layer compare few events at a time, so that a test needs
// few.
func (l *Layer) SmallBlocks() { l.audits = bounds{block: 3, blocks: 2, stretch: 20 * (eventBytes + 2)} }
