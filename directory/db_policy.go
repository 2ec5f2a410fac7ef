package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/sqldb"
)

// readPolicies reads what agencies decided; one that decided nothing has the
// default.
func readPolicies(ctx context.Context, tx *sqldb.Tx, agencies []identity.AgencyID) (map[identity.AgencyID]AgencyPolicy, error) {
	out := make(map[identity.AgencyID]AgencyPolicy, len(agencies)+1)
	out[""] = defaultPolicy() // of people without a post
	for _, id := range agencies {
		out[id] = out[""]
	}
	const chunk = 500 // placeholders in one statement
	for len(agencies) > 0 {
		some := agencies[:min(chunk, len(agencies))]
		agencies = agencies[len(some):]
		if err := readStoredPolicies(ctx, tx, some, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readStoredPolicies(ctx context.Context, tx *sqldb.Tx, agencies []identity.AgencyID, out map[identity.AgencyID]AgencyPolicy) error {
	var args arguments
	rows, err := tx.Query(ctx, `SELECT agency_id, policy FROM directory_policies WHERE agency_id IN (`+placeholders(&args, agencies)+`)`, args...)
	if err != nil {
		return fmt.Errorf("read policies: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		var id identity.AgencyID
		var text string
		if err := rows.Scan(&id, &text); err != nil {
			return fmt.Errorf("read policies: %w", err)
		}
		p, err := parsePolicy(text)
		if err != nil {
			return fmt.Errorf("policy of agency %s: %w", id, err)
		}
		out[id] = p
	}
	return rows.Err()
}

func writePolicy(ctx context.Context, tx *sqldb.Tx, agency identity.AgencyID, p AgencyPolicy, now time.Time) error {
	text, err := formatPolicy(p)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_policies (agency_id, policy, updated_at) VALUES ($1, $2, $3)
		ON CONFLICT (agency_id) DO UPDATE SET policy = $2, updated_at = $3`, string(agency), text, now.UnixMicro())
	if err != nil {
		return fmt.Errorf("write policy: %w", err)
	}
	return nil
}

func writeOverrides(ctx context.Context, tx *sqldb.Tx, person identity.PersonID, own, setBy visibility.Levels) error {
	a, err := formatLevels(own)
	if err != nil {
		return err
	}
	b, err := formatLevels(setBy)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO directory_person_visibility (person_id, own, set_by) VALUES ($1, $2, $3)
		ON CONFLICT (person_id) DO UPDATE SET own = $2, set_by = $3`, string(person), a, b)
	if err != nil {
		return fmt.Errorf("write visibility: %w", err)
	}
	return nil
}

// personObject is what a permission over a person who exists is decided on.
func personObject(ctx context.Context, tx *sqldb.Tx, id identity.PersonID, now time.Time) (identity.Object, error) {
	if err := personExists(ctx, tx, id, ""); err != nil {
		return identity.Object{}, err
	}
	o, _, err := personHome(ctx, tx, id, now)
	return o, err
}

// homePosition selects the position whose unit looks after a person: the main
// one of now, or else the next to begin, or else the last. So nobody takes over
// whom another agency let go by giving them a post.
func homePosition(person, now string) string {
	return fmt.Sprintf(`(SELECT m.id FROM directory_positions m WHERE m.person_id = %[1]s
		ORDER BY CASE WHEN %[2]s THEN 0 WHEN m.valid_from > %[3]s THEN 1 ELSE 2 END,
			CASE WHEN %[2]s THEN m.rank ELSE 0 END,
			CASE WHEN m.valid_from > %[3]s THEN m.valid_from ELSE -m.valid_until END, m.id LIMIT 1)`, person, validAt("m", now), now)
}

// storedPolicy is an AgencyPolicy in the database. What is not in it has the
// default, so that a field that comes later has one too.
type storedPolicy struct {
	Visibility   map[visibility.Field]string `json:"visibility,omitempty"`
	Personal     []visibility.Field          `json:"personal"`
	SecondFactor SecondFactorFor             `json:"second_factor,omitempty"`
	AppPasswords *bool                       `json:"app_passwords,omitempty"`
}

func parsePolicy(text string) (AgencyPolicy, error) {
	var stored storedPolicy
	p := defaultPolicy()
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return p, err
	}
	for f, word := range stored.Visibility {
		level, ok := visibility.ParseLevel(word)
		if !ok {
			return p, fmt.Errorf("unknown level %q", word)
		}
		p.Visibility.Levels[f] = level
	}
	p.Visibility.Personal = stored.Personal
	if stored.SecondFactor != "" {
		p.SignIn.SecondFactor = stored.SecondFactor
	}
	if stored.AppPasswords != nil {
		p.SignIn.AppPasswords = *stored.AppPasswords
	}
	return p, nil
}

func formatPolicy(p AgencyPolicy) (string, error) {
	stored := storedPolicy{Visibility: words(p.Visibility.Levels), Personal: p.Visibility.Personal,
		SecondFactor: p.SignIn.SecondFactor, AppPasswords: &p.SignIn.AppPasswords}
	b, err := json.Marshal(stored)
	return string(b), err
}

func words(levels visibility.Levels) map[visibility.Field]string {
	out := make(map[visibility.Field]string, len(levels))
	for f, level := range levels {
		out[f] = level.String()
	}
	return out
}

func parseLevels(text string) (visibility.Levels, error) {
	if text == "" {
		return visibility.Levels{}, nil
	}
	var stored map[visibility.Field]string
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, err
	}
	out := make(visibility.Levels, len(stored))
	for f, word := range stored {
		level, ok := visibility.ParseLevel(word)
		if !ok {
			return nil, fmt.Errorf("unknown level %q", word)
		}
		out[f] = level
	}
	return out, nil
}

func formatLevels(levels visibility.Levels) (string, error) {
	b, err := json.Marshal(words(levels))
	return string(b), err
}
