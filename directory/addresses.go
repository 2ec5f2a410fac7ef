package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"commsd/identity"
	"commsd/internal/errcode"
	"commsd/internal/sqldb"
)

// ResolveAddress returns whose mailbox an address is; errcode.NotFound when
// there is no such mailbox here.
func (s *Service) ResolveAddress(ctx context.Context, address string) (identity.PersonID, error) {
	address = normalAddress(clip(address, 320))
	var id identity.PersonID
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		id, err = readAddressOwner(ctx, tx, address)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return "", errcode.New(errcode.NotFound, "there is no mailbox %s here", address)
	}
	if err != nil {
		return "", fmt.Errorf("directory: resolve an address: %w", err)
	}
	return id, nil
}

// IsLocalDomain tells whether mail for domain is received here: the domains of
// all agencies, and the installation's own.
func (s *Service) IsLocalDomain(ctx context.Context, domain string) (bool, error) {
	domain = strings.TrimSuffix(normalAddress(clip(domain, 255)), ".")
	if domain == s.cfg.Domain {
		return true, nil
	}
	var local bool
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		local, err = readDomain(ctx, tx, domain)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("directory: domain: %w", err)
	}
	return local, nil
}

// SenderAddresses returns what actor may write in From, the main address first.
func (s *Service) SenderAddresses(ctx context.Context, actor identity.Actor) ([]string, error) {
	var out []string
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var err error
		out, err = readAddresses(ctx, tx, actor.Person)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: sender addresses: %w", err)
	}
	return out, nil
}
