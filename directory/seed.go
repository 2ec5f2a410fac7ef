package directory

import (
	"context"
	"fmt"
	"time"

	"commsd/audit"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// DemoPassword is the password of all demo accounts. It breaks the password
// rules, which only the demo may.
const DemoPassword = "commsd-demo-only"

// HoldsDemo tells whether SeedDemo has filled this directory, whose passwords
// are then public.
func (s *Service) HoldsDemo(ctx context.Context) (bool, error) {
	var n int
	err := s.db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM directory_demo`).Scan(&n)
	})
	if err != nil {
		return false, fmt.Errorf("directory: look for the demo: %w", err)
	}
	return n > 0, nil
}

// isDemoLogin tells whether login is one of the demo's own accounts. Their
// password is public, so that a second factor would guard nothing.
func isDemoLogin(login, domain string) bool {
	for _, a := range demoAgencies {
		for _, u := range a.units {
			for _, p := range u.people {
				if p.account && login == p.address+"@"+a.domain {
					return true
				}
			}
		}
	}
	return login == "admin@"+domain || login == "kiemtoan@"+domain
}

// SeedDemo fills an empty directory with two agencies and their people, in one
// transaction. A directory that holds anything is left as it is.
func (s *Service) SeedDemo(ctx context.Context) error {
	s.demo.Store(true)
	// Before the transaction: a hash takes longer than others should wait.
	hashes := map[string]string{}
	for _, a := range demoAgencies {
		for _, u := range a.units {
			for _, p := range u.people {
				if !p.account {
					continue
				}
				h, err := s.hasher.Hash(ctx, DemoPassword)
				if err != nil {
					return fmt.Errorf("directory: demo accounts: %w", err)
				}
				hashes[p.address+"@"+a.domain] = h.String()
			}
		}
	}
	admin, err := s.hasher.Hash(ctx, DemoPassword)
	if err != nil {
		return fmt.Errorf("directory: demo accounts: %w", err)
	}
	auditor, err := s.hasher.Hash(ctx, DemoPassword)
	if err != nil {
		return fmt.Errorf("directory: demo accounts: %w", err)
	}
	seeded := false
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		seeded = false
		var n int
		err := tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM directory_agencies) + (SELECT COUNT(*) FROM directory_people)`).Scan(&n)
		if err != nil || n > 0 {
			return err
		}
		now := s.now()
		adminID, err := insertPerson(ctx, tx, demoAdmin, "admin@"+s.cfg.Domain, now)
		if err != nil {
			return err
		}
		if err := insertAccount(ctx, tx, adminID, "admin@"+s.cfg.Domain, admin.String(), now, identity.Grant{Role: identity.RoleSystemAdmin}); err != nil {
			return err
		}
		// Who reads the audit log is nobody who administers.
		auditorID, err := insertPerson(ctx, tx, demoAuditor, "kiemtoan@"+s.cfg.Domain, now)
		if err != nil {
			return err
		}
		if err := insertAccount(ctx, tx, auditorID, "kiemtoan@"+s.cfg.Domain, auditor.String(), now, identity.Grant{Role: identity.RoleAuditor}); err != nil {
			return err
		}
		// RFC 5321 section 4.5.1: postmaster is always received.
		if err := insertAddress(ctx, tx, adminID, "postmaster@"+s.cfg.Domain, "alias"); err != nil {
			return err
		}
		for _, a := range demoAgencies {
			if err := seedAgency(ctx, tx, a, adminID, hashes, now); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `INSERT INTO directory_demo (id, filled_at) VALUES (1, $1)`, now.UnixMicro()); err != nil {
			return err
		}
		seeded = true
		return s.cfg.Audit.Record(ctx, tx, audit.Event{Action: "directory.seed_demo", Outcome: audit.OK})
	})
	if err != nil {
		return fmt.Errorf("directory: fill the demo directory: %w", err)
	}
	if seeded {
		s.log.InfoContext(ctx, "directory: filled with demo agencies and people")
	}
	return nil
}

func seedAgency(ctx context.Context, tx *sqldb.Tx, a demoAgency, postmaster identity.PersonID, hashes map[string]string, now time.Time) error {
	id, err := insertAgency(ctx, tx, AgencyRecord{Identifier: a.identifier, Name: a.name, NameEN: a.nameEN, ShortName: a.shortName,
		Domains: []string{a.domain}}, now)
	if err != nil {
		return err
	}
	if err := insertAddress(ctx, tx, postmaster, "postmaster@"+a.domain, "alias"); err != nil {
		return err
	}
	places := map[string]place{}
	for rank, u := range a.units {
		parent := place{agency: id}
		if u.parent != "" {
			parent = places[u.parent]
		}
		at, err := insertUnit(ctx, tx, parent, u.name, u.nameEN, rank)
		if err != nil {
			return err
		}
		places[u.name] = at
	}
	for _, u := range a.units {
		for seniority, p := range u.people {
			address := p.address + "@" + a.domain
			person, err := insertPerson(ctx, tx, p.name, address, now)
			if err != nil {
				return err
			}
			if err := insertPosition(ctx, tx, person, places[u.name], p.title, KindMain, seniority, now); err != nil {
				return err
			}
			if p.also.unit != "" {
				if err := insertPosition(ctx, tx, person, places[p.also.unit], p.also.title, p.also.kind, p.also.seniority, now); err != nil {
					return err
				}
			}
			if p.account {
				if err := insertAccount(ctx, tx, person, address, hashes[address], now); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
