package mail

import "context"

// Collect is one turn of what Run does every hour.
func (s *Service) Collect(ctx context.Context) error { return s.collect(ctx) }
