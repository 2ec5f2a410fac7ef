package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"commsd/bench/manypeople"
	"commsd/directory"
	"commsd/internal/sqldb"
)

// measureImport imports so many people into an agency of their own, while
// somebody else writes a line now and then, as chat does, and tells how long
// both took.
func measureImport(ctx context.Context, db *sqldb.DB, s *directory.Service, seed uint64, people int) error {
	a, _ := manypeople.New(seed+1, people*30, 1).Next() // its first agency has a thirtieth
	a.Identifier, a.Domain = fmt.Sprintf("Z%02d", time.Now().Unix()%90+1), fmt.Sprintf("import%d.example", time.Now().Unix())
	var list strings.Builder
	list.WriteString("Mã nhân sự,Họ,Đệm,Tên,Email,Chức danh,Đơn vị,Thứ tự\n")
	rows := 0
	for i := range a.Units {
		u := &a.Units[i]
		u.Name = fmt.Sprintf("Đơn vị %d", i)
		for _, p := range u.People {
			local, _, _ := strings.Cut(p.Address, "@")
			fmt.Fprintf(&list, "%s-%d,%s,%s,%s,%s@%s,%s,%s,%d\n", a.Domain, rows, p.Family, p.Middle, p.Given, local, a.Domain, p.Title, u.Name, p.Seniority)
			rows++
		}
		u.People = nil
	}
	if err := directory.Fill(ctx, db, a, time.Now()); err != nil {
		return err
	}
	agency, err := s.ResolveAgency(ctx, a.Identifier)
	if err != nil {
		return err
	}
	var elsewhere string
	if err := db.Read(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `SELECT MIN(id) FROM directory_agencies WHERE id <> $1`, string(agency.ID)).Scan(&elsewhere)
	}); err != nil {
		return err
	}
	actor := directory.CommandLine()
	start := time.Now()
	i, err := s.PreviewImport(ctx, actor, agency.ID, "", []byte(list.String()))
	if err != nil {
		return err
	}
	if i.State != directory.ImportPreviewed || i.Adds != rows {
		return fmt.Errorf("the list is %s: %d of %d, %+v", i.State, i.Adds, rows, i.Problems[:min(len(i.Problems), 3)])
	}
	compared := time.Since(start)
	start, before := time.Now(), cpu()
	if _, err := s.BeginImport(ctx, actor, i.ID, false); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.FinishImport(ctx, i.ID) }()
	var waits []time.Duration
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		select {
		case err = <-done:
			if err != nil {
				return err
			}
			slices.Sort(waits)
			say("import of %d people: compared in %.1f s, applied in %.1f s (%.1f s of computing here); %d writes of others meanwhile waited %.0f ms at p50, %.0f ms at p99, %.0f ms at most\n",
				rows, compared.Seconds(), time.Since(start).Seconds(), (cpu() - before).Seconds(), len(waits), ms(waits[len(waits)/2]), ms(waits[len(waits)*99/100]), ms(waits[len(waits)-1]))
			return nil
		case <-tick.C:
			asked := time.Now()
			err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE directory_agencies SET version = version WHERE id = $1`, elsewhere)
				return err
			})
			waits = append(waits, time.Since(asked))
		}
	}
	return errors.Join(err, <-done)
}
