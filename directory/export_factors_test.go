package directory

import (
	"context"
	"slices"
	"sync/atomic"

	"commsd/identity"
	"commsd/internal/sqldb"
)

// FakeFactors stands for whoever keeps second factors: one code is right.
type FakeFactors struct {
	Offered []string // what the account of Login has
	Enroll  bool
	Account identity.AccountID
	Right   string
	Resets  atomic.Int64
}

// Use puts f in place.
func (f *FakeFactors) Use(s *Service) { s.factors = f }

func (f *FakeFactors) Needs(_ context.Context, _ *sqldb.Tx, id identity.AccountID) ([]string, bool, error) {
	if id != f.Account || f.Resets.Load() > 0 {
		return nil, false, nil
	}
	return slices.Clone(f.Offered), f.Enroll, nil
}

func (f *FakeFactors) Admit(context.Context, identity.AccountID) error { return nil }

func (f *FakeFactors) Verify(_ context.Context, _ *sqldb.Tx, id identity.AccountID, p Proof, _ []byte) (bool, error) {
	return id == f.Account && (p.TOTP == f.Right || p.RecoveryCode == f.Right), nil
}

func (f *FakeFactors) Reset(context.Context, *sqldb.Tx, identity.AccountID) error {
	f.Resets.Add(1)
	return nil
}

// FlushActive is what Run does now and then.
func (s *Service) FlushActive(ctx context.Context) { s.flushActive(ctx) }

// SweepSessions is what Run does each hour.
func (s *Service) SweepSessions(ctx context.Context) { s.sweepSessions(ctx) }

// RequireFresh is what sensitive acts ask.
func (s *Service) RequireFresh(ctx context.Context, actor identity.Actor) error {
	return s.requireFresh(ctx, actor)
}
