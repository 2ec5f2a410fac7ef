package directory

import (
	"context"

	"commsd/identity"
)

// The JSON shapes, for the tests that speak HTTP from outside.
type (
	DirectoryPerson  = directoryPerson
	DirectorySession = directorySession
	DirectoryCard    = directoryCard
	DirectoryAgency  = directoryAgency
	DirectoryUnit    = directoryUnit
)

// ApplyBatches applies an import to its end without asking for its lease, as a
// node does whose lease has ended while it was busy.
func ApplyBatches(ctx context.Context, s *Service, id string, size int) error {
	for {
		if done, err := s.applyBatch(ctx, id, size, true); done || err != nil {
			return err
		}
	}
}

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

// ChangePolicy changes the policy of an agency from what it was to what it is to be.
func ChangePolicy(ctx context.Context, s *Service, actor identity.Actor, id identity.AgencyID, was, is AgencyPolicy) error {
	return s.changePolicy(ctx, actor, id, was, is)
}
