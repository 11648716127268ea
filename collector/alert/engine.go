package alert

import "context"

// Engine decides what is an alert. It is safe for concurrent use.
type Engine struct{}

// Active returns the alerts that go on, the newest first.
func (e *Engine) Active() []Alert { return nil }

// Recent returns alerts that are over, the newest end first, at most so many.
func (e *Engine) Recent(max int) []Alert { return nil }

// Deliveries returns the last attempts to tell somebody, the newest first, at most so many.
func (e *Engine) Deliveries(max int) []Delivery { return nil }

// Subscribe returns a channel that gets a value when alerts or deliveries have changed; a value unread stands for all changes since. Cancel may be called
// more than once.
func (e *Engine) Subscribe() (ch <-chan struct{}, cancel func()) {
	return make(chan struct{}), func() {}
}

// Run works until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
