// Package roster reads the staff lists that personnel departments keep (CSV)
// and says what would change if the directory were to agree with one.
//
// It is pure: it must know no database and no permission, and it changes
// nothing. Whoever asks brings the people and units of the agency.
package roster

import (
	"fmt"
	"strings"

	"commsd/internal/fold"
)

// The columns of a list.
const (
	ColumnKey        = "external_key"
	ColumnFamily     = "family_name"
	ColumnMiddle     = "middle_name"
	ColumnFirst      = "family_and_middle_name"
	ColumnGiven      = "given_name"
	ColumnName       = "full_name"
	ColumnAddress    = "email"
	ColumnTitle      = "title"
	ColumnUnit       = "unit"
	ColumnKind       = "position_kind"
	ColumnSeniority  = "seniority"
	ColumnPhone      = "phone"
	ColumnMobile     = "mobile"
	ColumnOffice     = "office"
	columnUnknown    = ""
	positionMain     = "main"
	positionActing   = "acting"
	positionParallel = "concurrent"
)

// headers are the names of columns as lists write them, folded.
var headers = map[string]string{
	"external key": ColumnKey, "employee id": ColumnKey, "employee number": ColumnKey, "staff id": ColumnKey, "ma nhan su": ColumnKey,
	"ma can bo": ColumnKey, "ma nhan vien": ColumnKey, "ma nv": ColumnKey, "ma cb": ColumnKey, "ma cbccvc": ColumnKey, "ma so": ColumnKey, "ma dinh danh": ColumnKey,
	"ho": ColumnFamily, "family name": ColumnFamily, "last name": ColumnFamily, "surname": ColumnFamily,
	"dem": ColumnMiddle, "ten dem": ColumnMiddle, "middle name": ColumnMiddle,
	"ho dem": ColumnFirst, "ho va dem": ColumnFirst, "ho va ten dem": ColumnFirst, "ho lot": ColumnFirst, "family and middle name": ColumnFirst,
	"ten": ColumnGiven, "given name": ColumnGiven, "first name": ColumnGiven,
	"ho va ten": ColumnName, "ho ten": ColumnName, "ho dem ten": ColumnName, "full name": ColumnName, "name": ColumnName,
	"email": ColumnAddress, "e mail": ColumnAddress, "mail": ColumnAddress, "thu dien tu": ColumnAddress, "dia chi thu": ColumnAddress,
	"dia chi thu dien tu": ColumnAddress, "thu cong vu": ColumnAddress, "dia chi email": ColumnAddress, "email cong vu": ColumnAddress,
	"chuc danh": ColumnTitle, "chuc vu": ColumnTitle, "title": ColumnTitle, "job title": ColumnTitle, "position": ColumnTitle,
	"don vi": ColumnUnit, "phong ban": ColumnUnit, "unit": ColumnUnit, "department": ColumnUnit, "don vi cong tac": ColumnUnit,
	"loai vi tri": ColumnKind, "position kind": ColumnKind, "kind": ColumnKind,
	"thu tu": ColumnSeniority, "seniority": ColumnSeniority, "order": ColumnSeniority,
	"dien thoai": ColumnPhone, "dien thoai ban": ColumnPhone, "dien thoai co quan": ColumnPhone, "phone": ColumnPhone, "so dien thoai": ColumnPhone,
	"di dong": ColumnMobile, "dien thoai di dong": ColumnMobile, "mobile": ColumnMobile, "so di dong": ColumnMobile,
	"phong": ColumnOffice, "phong lam viec": ColumnOffice, "noi lam viec": ColumnOffice, "office": ColumnOffice,
}

// columnOf reads the name of a column; it tells "" for one of something else.
func columnOf(header string) string {
	words := fold.Words(strings.ReplaceAll(header, "_", " "))
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = w.Folded
	}
	return headers[strings.Join(parts, " ")]
}

// kinds are the kinds of position as lists write them, folded.
var kinds = map[string]string{
	"": positionMain, "chinh": positionMain, "chinh thuc": positionMain, "main": positionMain,
	"kiem nhiem": positionParallel, "kiem": positionParallel, "concurrent": positionParallel,
	"quyen": positionActing, "acting": positionActing,
}

// ImportProblem is something in a list that must be put right before it can be
// imported.
type ImportProblem struct {
	Row    int    `json:"row" doc:"line of the file, 1 is the first; 0: the file as a whole"`
	Column string `json:"column" doc:"its header; empty: the whole line"`
	Value  string `json:"value" doc:"what stands there, shortened"`
	Code   string `json:"code" doc:"a short stable word, for a page's own words"`
	Text   string `json:"text" doc:"what is wrong"`
	Cure   string `json:"cure" doc:"what to do"`
}

// Problems collects problems and counts those that it keeps no more.
type Problems struct {
	Shown []ImportProblem
	Count int
	most  int
}

// NewProblems returns a collection that keeps the first most.
func NewProblems(most int) *Problems { return &Problems{most: most} }

func (p *Problems) add(row int, column, value, code, text, cure string, args ...any) {
	p.Count++
	if len(p.Shown) < p.most {
		p.Shown = append(p.Shown, ImportProblem{row, column, shorten(value), code, fmt.Sprintf(text, args...), cure})
	}
}

func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

// clean brings a cell to the form in which the directory keeps it.
func clean(s string) string { return fold.Plain(s) }

// SplitName splits a name as it is written: họ, đệm, tên. A name of one word is
// a tên.
func SplitName(name string) (family, middle, given string) {
	words := strings.Fields(name)
	switch n := len(words); n {
	case 0:
		return "", "", ""
	case 1:
		return "", "", words[0]
	default:
		return words[0], strings.Join(words[1:n-1], " "), words[n-1]
	}
}
