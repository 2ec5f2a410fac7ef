package directory_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"commsd/directory"
	"commsd/identity"
	"commsd/internal/errcode"
)

// hanoi returns the agency of the demo that the tests import into, and an
// administrator of everything.
func hanoi(t *testing.T, f *fixture) (identity.AgencyID, identity.Actor) {
	t.Helper()
	a, err := f.ResolveAgency(t.Context(), "H26")
	if err != nil {
		t.Fatal(err)
	}
	return a.ID, f.actor(t, "admin@g2g.example")
}

func (f *fixture) preview(t *testing.T, list string) directory.Import {
	t.Helper()
	agency, admin := hanoi(t, f)
	i, err := f.PreviewImport(t.Context(), admin, agency, "danh-sach.csv", []byte(list))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (f *fixture) apply(t *testing.T, id string, override bool) directory.Import {
	t.Helper()
	_, admin := hanoi(t, f)
	if _, err := f.BeginImport(t.Context(), admin, id, override); err != nil {
		t.Fatal(err)
	}
	if err := f.ApplyImport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	i, err := f.Import(t.Context(), admin, id)
	if err != nil || i.State != directory.ImportApplied || i.Done != i.Total {
		t.Fatalf("after applying: %+v, %v", i, err)
	}
	return i
}

const header = "Mã nhân sự;Họ và tên;Email;Chức danh;Đơn vị;Di động\n"

// everybodyOfHanoi lists the demo's Hanoi with numbers of its own.
const everybodyOfHanoi = header +
	"HN01;Dương Đức Thắng;thangdd@hanoi.g2g.example;Phó Chủ tịch;Lãnh đạo Ủy ban;\n" +
	"HN02;Lê Thị Kim Chi;chi@hanoi.g2g.example;Phó Chánh Văn phòng;Văn phòng UBND thành phố;\n" +
	"HN03;Tô Minh Đức;ductm@hanoi.g2g.example;Chuyên viên chính;Văn phòng UBND thành phố;\n" +
	"HN04;Lương Thế Vinh;vinhlt@hanoi.g2g.example;Trưởng phòng;Văn phòng UBND thành phố / Phòng Nội chính;\n"

func TestImportComparesAndApplies(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		// At first everybody only gets a number: the address tells who is who.
		i := f.preview(t, everybodyOfHanoi)
		if i.State != directory.ImportPreviewed || i.Changes != 4 || i.Adds+i.Moves+i.Leaves != 0 {
			t.Fatalf("the first list: %+v", i)
		}
		if i := f.apply(t, i.ID, false); i.Skipped != 0 {
			t.Fatalf("left out: %+v", i)
		}
		if i := f.preview(t, everybodyOfHanoi); i.Unchanged != 4 || i.Total != 0 {
			t.Fatalf("the same list again: %+v", i)
		}

		// Đức gets another title and a mobile number, Vinh moves, a new one comes,
		// in NFD as some programs write it; Thắng leaves.
		i = f.preview(t, strings.Join([]string{
			strings.TrimSuffix(header, "\n"),
			"HN02;Lê Thị Kim Chi;chi@hanoi.g2g.example;Phó Chánh Văn phòng;Văn phòng UBND thành phố;",
			"HN03;Tô Minh Đức;ductm@hanoi.g2g.example;Trưởng ban;Văn phòng UBND thành phố;0912 345 678",
			"HN04;Lương Thế Vinh;vinhlt@hanoi.g2g.example;Giám đốc;Sở Nội vụ;",
			"HN05;Pha\u0323m Thi\u0323 Ha\u0323nh;hanhpt@hanoi.g2g.example;Văn thư;Phòng Nội chính;",
		}, "\n"))
		if i.Adds != 1 || i.Changes != 1 || i.Moves != 1 || i.Leaves != 1 || i.Unchanged != 1 || i.MayLeave != 0 || !i.NeedsForce {
			t.Fatalf("the second list: %+v", i)
		}
		_, admin := hanoi(t, f)
		entries, err := f.ImportEntries(t.Context(), admin, i.ID, "", 0, 10)
		if err != nil || len(entries) != 4 {
			t.Fatalf("entries %+v, %v", entries, err)
		}
		kinds := map[string]string{}
		for _, e := range entries {
			kinds[e.Name] = e.Kind + fmt.Sprint(e.Fields)
		}
		for name, want := range map[string]string{
			"Tô Minh Đức":     "change[{mobile  0912 345 678} {title Chuyên viên chính Trưởng ban}]",
			"Lương Thế Vinh":  "move[{unit Văn phòng UBND thành phố / Phòng Nội chính Sở Nội vụ} {title Trưởng phòng Giám đốc}]",
			"Dương Đức Thắng": "leave[{unit Lãnh đạo Ủy ban } {title Phó Chủ tịch }]",
		} {
			if kinds[name] != want {
				t.Errorf("%s: %q, want %q", name, kinds[name], want)
			}
		}
		// One of four is more than a tenth.
		if _, err := f.BeginImport(t.Context(), admin, i.ID, false); errcode.Of(err) != errcode.Conflict || !strings.Contains(err.Error(), "override_leaves") {
			t.Fatalf("applied though too many leave: %v", err)
		}
		f.apply(t, i.ID, true)
		if got := f.find(t, admin, "phạm thị hạnh"); len(got) != 1 {
			t.Errorf("the new one is not found: %q", got)
		}
		if got := f.find(t, admin, "duong duc thang"); len(got) != 0 {
			t.Errorf("who left is found: %q", got)
		}
		people, err := f.FindPeople(t.Context(), admin, "luong the vinh", 5)
		if err != nil || len(people) != 1 || people[0].Unit != "Sở Nội vụ" || people[0].Title != "Giám đốc" {
			t.Errorf("who moved: %+v, %v", people, err)
		}
		if n := len(f.events(t, "directory.import")); n < 8 { // four, then four, and one for each list
			t.Errorf("%d events of the imports", n)
		}
		if _, err := f.BeginImport(t.Context(), admin, i.ID, true); errcode.Of(err) != errcode.Conflict {
			t.Errorf("applied twice: %v", err)
		}
	})
}

// An import is applied as it was shown, or not at all.
func TestImportIsStale(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		first, second := f.preview(t, everybodyOfHanoi), f.preview(t, everybodyOfHanoi)
		f.apply(t, first.ID, false)
		_, admin := hanoi(t, f)
		if _, err := f.BeginImport(t.Context(), admin, second.ID, false); errcode.Of(err) != errcode.Conflict {
			t.Fatalf("the agency had changed: %v", err)
		}
		if i, err := f.Import(t.Context(), admin, second.ID); err != nil || i.State != directory.ImportStale {
			t.Errorf("state %q, %v", i.State, err)
		}
	})
}

// Whatever is wrong is told with its line, and nothing is imported.
func TestImportRefusesWhole(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		agency, admin := hanoi(t, f)
		i := f.preview(t, everybodyOfHanoi+"HN09;Ngô An;an@noivu.g2g.example;Văn thư;Phòng Nội chính;\n;X;không phải thư;Văn thư;Phòng ma;\n")
		if i.State != directory.ImportRefused || i.Total != 0 {
			t.Fatalf("%+v", i)
		}
		codes := map[string]int{}
		for _, p := range i.Problems {
			codes[p.Code] = p.Row
		}
		for code, row := range map[string]int{"elsewhere": 6, "bad_address": 7, "unknown_unit": 7} {
			if codes[code] != row {
				t.Errorf("%s is told of line %d, want %d: %+v", code, codes[code], row, i.Problems)
			}
		}
		if _, err := f.BeginImport(t.Context(), admin, i.ID, true); errcode.Of(err) != errcode.Conflict {
			t.Errorf("applied with problems: %v", err)
		}
		// Windows-1258: "Họ và tên" with a tone of its own behind the vowel.
		i, err := f.PreviewImport(t.Context(), admin, agency, "", []byte("M\xe3 nh\xe2n s\xf1;Ho\xf2 v\xe0 t\xean;Email;Ch\xf1c danh;\xd0\xf4n v\xf2\n"))
		if err != nil || i.State != directory.ImportRefused || i.Problems[0].Code != "encoding" || i.Problems[0].Row != 1 {
			t.Errorf("Windows-1258: %+v, %v", i, err)
		}
		an := f.actor(t, "an@noivu.g2g.example")
		if _, err := f.PreviewImport(t.Context(), an, agency, "", []byte(everybodyOfHanoi)); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("somebody without a role: %v", err)
		}
		if _, err := f.Import(t.Context(), an, i.ID); errcode.Of(err) != errcode.Forbidden {
			t.Errorf("somebody without a role reads: %v", err)
		}
	})
}

// Whom somebody else changes while an import runs is left as they are.
func TestImportLeavesWhoChangedMeanwhile(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		i := f.preview(t, everybodyOfHanoi)
		_, admin := hanoi(t, f)
		if _, err := f.BeginImport(t.Context(), admin, i.ID, false); err != nil {
			t.Fatal(err)
		}
		vinh, err := f.FindPeople(t.Context(), admin, "luong the vinh", 1)
		if err != nil || len(vinh) != 1 {
			t.Fatal(vinh, err)
		}
		office := "P. 203"
		if _, err := f.UpdatePerson(t.Context(), admin, vinh[0].ID, directory.PersonChange{Office: &office}); err != nil {
			t.Fatal(err)
		}
		if err := f.ApplyImport(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		i, err = f.Import(t.Context(), admin, i.ID)
		if err != nil || i.State != directory.ImportApplied || i.Done != 4 || i.Skipped != 1 {
			t.Fatalf("%+v, %v", i, err)
		}
		entries, err := f.ImportEntries(t.Context(), admin, i.ID, "", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if (e.Outcome != "") != (e.Name == "Lương Thế Vinh") {
				t.Errorf("%s: %q", e.Name, e.Outcome)
			}
		}
	})
}

// An import that stopped half way goes on where it stopped; a lease keeps two
// nodes from doing it at once.
func TestImportGoesOn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		var list strings.Builder
		list.WriteString(header)
		for n := range 450 {
			fmt.Fprintf(&list, "N%d;Nguyễn Văn An%d;n%d@hanoi.g2g.example;Chuyên viên;Sở Tài chính;\n", n, n, n)
		}
		i := f.preview(t, list.String())
		_, admin := hanoi(t, f)
		if _, err := f.BeginImport(t.Context(), admin, i.ID, false); err != nil {
			t.Fatal(err)
		}
		if err := directory.ApplyOneBatch(t.Context(), f.Service, i.ID, 100); err != nil {
			t.Fatal(err)
		}
		if err := f.ApplyImport(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		if i, err := f.Import(t.Context(), admin, i.ID); err != nil || i.Done != 100 || i.State != directory.ImportApplying {
			t.Fatalf("another node holds it: %+v, %v", i, err)
		}
		f.clock.add(time.Minute)
		if err := f.ApplyImport(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		if i, err := f.Import(t.Context(), admin, i.ID); err != nil || i.Done != 450 || i.Skipped != 0 || i.State != directory.ImportApplied {
			t.Fatalf("%+v, %v", i, err)
		}
		if i := f.preview(t, list.String()); i.Unchanged != 450 || i.Total != 0 {
			t.Errorf("the list again: %+v", i)
		}
	})
}

// Over HTTP: the list goes up, Run applies it, and its progress is asked for.
func TestHTTPImport(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()
		agency, _ := hanoi(t, f)
		p := newPage(t, newServer(t, f, false))
		p.signIn("admin@g2g.example")
		var i directory.Import
		send := func(list string) *http.Response {
			return p.send("POST", "/api/v1/directory/imports?agency_id="+string(agency), "text/csv", list, &i)
		}
		if resp := send(everybodyOfHanoi); resp.StatusCode != 201 || i.Changes != 4 || i.ID == "" {
			t.Fatalf("%d %+v", resp.StatusCode, i)
		}
		if resp := p.call("POST", "/api/v1/directory/imports/"+i.ID+"/apply", struct{}{}, &i); resp.StatusCode != 202 {
			t.Fatalf("apply: %d %+v", resp.StatusCode, i)
		}
		deadline := time.Now().Add(20 * time.Second)
		for i.State != directory.ImportApplied && time.Now().Before(deadline) {
			p.call("GET", "/api/v1/directory/imports/"+i.ID, nil, &i)
		}
		if i.State != directory.ImportApplied || i.Done != 4 || i.Skipped != 0 {
			t.Fatalf("%+v", i)
		}
		var page struct{ Entries []directory.ImportEntry }
		if p.call("GET", "/api/v1/directory/imports/"+i.ID+"/entries?kind=change&limit=3", nil, &page); len(page.Entries) != 3 || page.Entries[0].Kind != "change" {
			t.Errorf("entries %+v", page)
		}
		var list struct{ Imports []directory.Import }
		if p.call("GET", "/api/v1/directory/imports?agency_id="+string(agency), nil, &list); len(list.Imports) != 1 || list.Imports[0].By != "Quản trị hệ thống" {
			t.Errorf("imports %+v", list)
		}
	})
}

// A list gives an administrator nobody whom the page would not: neither who was
// last of another agency, nor who administers more.
func TestImportReachesNoFurtherThanItsAdministrator(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		agency, admin := hanoi(t, f)
		f.grant(t, admin, directory.NewAdminGrant{Person: f.person(t, "chi@hanoi.g2g.example"), Role: identity.RoleAgencyAdmin, Agency: agency})
		chi := f.actor(t, "chi@hanoi.g2g.example")

		// Of Bộ Nội vụ until a moment ago, and somebody who never held a post.
		an := f.person(t, "an@noivu.g2g.example")
		held, err := f.PersonPositions(t.Context(), admin, an)
		if err != nil || len(held) != 2 {
			t.Fatal(held, err)
		}
		for _, p := range held {
			if err := f.EndPosition(t.Context(), admin, p.ID); err != nil {
				t.Fatal(err)
			}
		}
		taken := header + "HN08;Nguyễn Văn An;an@noivu.g2g.example;Văn thư;Phòng Nội chính;\nHN09;Quản Trị;admin@g2g.example;Văn thư;Phòng Nội chính;\n"
		i, err := f.PreviewImport(t.Context(), chi, agency, "", []byte(taken))
		if err != nil || i.State != directory.ImportRefused || i.ProblemCount != 2 {
			t.Fatalf("%+v, %v", i, err)
		}
		for n, keeper := range []string{"Bộ Nội vụ", "g2g.example"} {
			if p := i.Problems[n]; p.Code != "kept" || p.Row != n+2 || !strings.Contains(p.Text, keeper) {
				t.Errorf("%+v does not name %s", p, keeper)
			}
		}
		if i := f.preview(t, header+"HN08;Nguyễn Văn An;an@noivu.g2g.example;Văn thư;Phòng Nội chính;\n"); i.State != directory.ImportPreviewed || i.Adds != 1 {
			t.Errorf("an administrator of both: %+v", i)
		}

		// Dũng administers the whole installation, and stays whole.
		dung := f.person(t, "dung@hanoi.g2g.example")
		f.grant(t, admin, directory.NewAdminGrant{Person: dung, Role: identity.RoleSystemAdmin})
		i, err = f.PreviewImport(t.Context(), chi, agency, "", []byte(header+
			"HN06;Phạm Anh Dũng;dung2@hanoi.g2g.example;Văn thư;Phòng Nội chính;0900\nHN02;Lê Thị Kim Chi;chi@hanoi.g2g.example;Phó Chánh Văn phòng;Văn phòng UBND thành phố;0901\n"))
		if err != nil || i.State != directory.ImportPreviewed {
			t.Fatalf("%+v, %v", i, err)
		}
		// By the address that he has the line is about him.
		i, err = f.PreviewImport(t.Context(), chi, agency, "", []byte(header+
			"HN06;Phạm Anh Dũng;dung@hanoi.g2g.example;Văn thư;Phòng Nội chính;0900\nHN02;Lê Thị Kim Chi;chi@hanoi.g2g.example;Phó Chánh Văn phòng;Văn phòng UBND thành phố;0901\n"))
		if err != nil || i.State != directory.ImportPreviewed || i.Total != 2 {
			t.Fatalf("%+v, %v", i, err)
		}
		if _, err := f.BeginImport(t.Context(), chi, i.ID, false); err != nil {
			t.Fatal(err)
		}
		if err := f.ApplyImport(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		entries, err := f.ImportEntries(t.Context(), chi, i.ID, "", 0, 10)
		if err != nil || len(entries) != 2 || !strings.Contains(entries[0].Outcome, "holds more than you") || entries[1].Outcome != "" {
			t.Errorf("%+v, %v", entries, err)
		}
		if r, err := f.PersonRecord(t.Context(), admin, dung); err != nil || r.Mobile != "" || r.ExternalKey != "" {
			t.Errorf("an account above the administrator was changed: %+v, %v", r, err)
		}
	})
}

// Who leaves signs in no more, and the log says so of the account.
func TestImportRecordsWhomItDisables(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.apply(t, f.preview(t, everybodyOfHanoi).ID, false)
		i := f.preview(t, strings.ReplaceAll(everybodyOfHanoi, "HN02;Lê Thị Kim Chi;chi@hanoi.g2g.example;Phó Chánh Văn phòng;Văn phòng UBND thành phố;\n", ""))
		if i.Leaves != 1 {
			t.Fatalf("%+v", i)
		}
		f.apply(t, i.ID, true)
		events := f.events(t, "account.disable")
		if len(events) != 1 || events[0].Object.Kind != "account" || events[0].Detail["import"] != i.ID || string(events[0].Owner) != string(i.Agency) {
			t.Errorf("%+v", events)
		}
	})
}

// A unit that is closed while a list waits takes nobody in.
func TestImportIntoAClosedUnit(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		agency, admin := hanoi(t, f)
		unit, err := f.CreateUnit(t.Context(), admin, directory.NewUnit{Agency: agency, Name: "Ban Quản lý"})
		if err != nil {
			t.Fatal(err)
		}
		i := f.preview(t, header+"HN20;Ngô Thị Mới;moi@hanoi.g2g.example;Văn thư;Ban Quản lý;\nHN21;Ngô Thị Khác;khac@hanoi.g2g.example;Văn thư;Sở Tài chính;\n")
		if _, err := f.BeginImport(t.Context(), admin, i.ID, false); err != nil {
			t.Fatal(err)
		}
		if err := f.DeleteUnit(t.Context(), admin, unit.ID); err != nil {
			t.Fatal(err)
		}
		if err := f.ApplyImport(t.Context(), i.ID); err != nil {
			t.Fatal(err)
		}
		entries, err := f.ImportEntries(t.Context(), admin, i.ID, "", 0, 10)
		if err != nil || len(entries) != 2 || !strings.Contains(entries[0].Outcome, "closed meanwhile") || entries[1].Outcome != "" {
			t.Errorf("%+v, %v", entries, err)
		}
		if got := f.find(t, admin, "ngo thi moi"); len(got) != 0 {
			t.Errorf("somebody is in a closed unit: %q", got)
		}
	})
}

// Of several lists of one agency that are begun at once one is.
func TestImportsBegunAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, admin := hanoi(t, f)
		var ids []string
		for range 4 {
			ids = append(ids, f.preview(t, everybodyOfHanoi).ID)
		}
		begun := make(chan error, len(ids))
		for _, id := range ids {
			go func() {
				_, err := f.BeginImport(t.Context(), admin, id, false)
				begun <- err
			}()
		}
		done := 0
		for range ids {
			switch err := <-begun; {
			case err == nil:
				done++
			case errcode.Of(err) != errcode.Conflict:
				t.Error(err)
			}
		}
		if done != 1 {
			t.Errorf("%d lists were begun", done)
		}
	})
}

// A command waits for the node that is at its import already.
func TestFinishImportWaits(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		_, admin := hanoi(t, f)
		i := f.preview(t, everybodyOfHanoi)
		if _, err := f.BeginImport(t.Context(), admin, i.ID, false); err != nil {
			t.Fatal(err)
		}
		if err := directory.ApplyOneBatch(t.Context(), f.Service, i.ID, 1); err != nil {
			t.Fatal(err)
		}
		finished := make(chan error, 1)
		go func() { finished <- f.FinishImport(t.Context(), i.ID) }()
		if err := directory.ApplyOneBatch(t.Context(), f.Service, i.ID, 10); err != nil {
			t.Fatal(err)
		}
		if err := <-finished; err != nil {
			t.Fatal(err)
		}
		if i, err := f.Import(t.Context(), admin, i.ID); err != nil || i.State != directory.ImportApplied {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

// A list is read only of administrators, and of few at once.
func TestHTTPImportsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		agency, _ := hanoi(t, f)
		server := newServer(t, f, false)
		p := newPage(t, server)
		p.signIn("admin@g2g.example")
		path := "/api/v1/directory/imports?agency_id=" + string(agency)
		leave := directory.TakeLists(f.Service)
		if resp := p.send("POST", path, "text/csv", everybodyOfHanoi, nil); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("beside others: %d", resp.StatusCode)
		}
		leave()
		if resp := p.send("POST", path, "text/csv", everybodyOfHanoi, nil); resp.StatusCode != 201 {
			t.Errorf("after them: %d", resp.StatusCode)
		}
		an := newPage(t, server)
		an.signIn("an@noivu.g2g.example")
		if resp := an.send("POST", path, "text/csv", everybodyOfHanoi, nil); resp.StatusCode != 403 {
			t.Errorf("somebody without a role: %d", resp.StatusCode)
		}
	})
}
