package directory

import "context"

// The JSON shapes, for the tests that speak HTTP from outside.
type (
	DirectoryPerson  = directoryPerson
	DirectorySession = directorySession
	DirectoryCard    = directoryCard
	DirectoryAgency  = directoryAgency
	DirectoryUnit    = directoryUnit
)

// ApplyOneBatch applies the next entries of an import, and stops there.
func ApplyOneBatch(ctx context.Context, s *Service, id string, size int) error {
	_, err := s.applyBatch(ctx, id, size, true)
	return err
}

// TakeLists takes every place for a staff list until what it returns is called.
func TakeLists(s *Service) (leave func()) {
	for range cap(s.lists) {
		s.lists <- struct{}{}
	}
	return func() {
		for range cap(s.lists) {
			<-s.lists
		}
	}
}
