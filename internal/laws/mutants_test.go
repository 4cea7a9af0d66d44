package laws

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit replaces a piece of a source file, named from the module's root, that
// stands there exactly once.
type edit struct{ file, old, new string }

// mutant is the protocol, or a store it relies on, with one rule broken.
type mutant struct {
	name  string // the rule as it is broken
	edits []edit
}

const (
	speedFile   = "internal/protocol/speed.go"
	runFile     = "internal/protocol/run.go"
	readFile    = "internal/protocol/read.go"
	historyFile = "internal/laws/history.go"
	itemsFile   = "internal/memory/realtime.go"
	ledgerFile  = "internal/memory/ledger.go"
	logFile     = "internal/memory/log.go"
)

func broken(name, file, old, new string) mutant { return mutant{name, []edit{{file, old, new}}} }

// mutants break each rule of the protocol in turn. They exist as overlays for
// the compiler only: there is no switch in the product that could be left on.
var mutants = []mutant{
	broken("a reader takes an item's newest state", readFile, "case it.Through.Compare(committed) <= 0:", "case true:"),
	broken("a reader drops items that are newer than its cut", readFile, "	return v.Item(it.Key, it.Prev)", "	return nil"),
	broken("a reader passes over items two batches ahead", readFile, "return errAgain // two batches ahead", "return nil // two batches ahead"),
	broken("a reader does not look for a discard at the end", readFile, "if err == nil && moved && r.Freeze == nil {", "if false && moved {"),
	broken("a reader reads parents before children", readFile, "		if row, ok := final[id]; ok {\n", "		if row, ok := final[id]; ok && false {\n"),
	broken("a reader reads the pointer after the cut", readFile, "	err = r.visit(ctx, s, items, ranges, v)\n", "	if pointer, err = ledger.Pointer(ctx); err != nil {\n		return nil, err\n	}\n	s.Pointer = pointer\n	err = r.visit(ctx, s, items, ranges, v)\n"),
	broken("a reader counts a load by its ledger row", readFile, "			s.Waiting++ // until the version says that it holds it\n			delete(s.Rows, id)\n", ""),
	broken("a reader counts items that its version covers", readFile, "it.Epoch <= c.Epoch", "it.Epoch < c.Epoch"),
	broken("an invocation goes over a pending batch", speedFile, "		if row.Pending != nil {\n			if err := s.finish(ctx, b.Shard, row, nil); err != nil {", "		if false {\n			if err := s.finish(ctx, b.Shard, row, nil); err != nil {"),
	broken("an invocation succeeds when it loses a compare-and-set", speedFile, "		if !swapped {\n			continue\n		}\n		intent.Rev++", "		if !swapped {\n			return nil\n		}\n		intent.Rev++"),
	broken("an invocation writes without a fence", speedFile, "		if err == nil && !mine {\n			err = errOvertaken\n		}\n", "		_ = mine\n"),
	broken("an item is merged twice with one batch", speedFile, "if it.Through.Compare(p.Through) >= 0 {", "if it.Through.Compare(p.Through) > 0 {"),
	broken("an item forgets its previous state", speedFile, "Through: p.Through, Prev: it.Cur, PrevThrough: it.Through}", "Through: p.Through}"),
	broken("a gap before a batch is not noticed", speedFile, "	if len(page.Events) == 0 || page.Events[0].Position != first.Position {", "	if len(page.Events) < 0 {"),
	broken("a child starts before its parents have ended", speedFile, "if !page.Ended || len(page.Events) > 0 || ok && row.Pending != nil {", "if page.Ended && ok && false {"),
	broken("a child waits for its parents only, not for their ancestors", speedFile, "for _, p := range append(gone, family.Ancestors(shard)...) {", "kin, _ := family.Shard(shard)\n	for _, p := range append(gone, kin.Parents...) {"),
	broken("a child does not see that its parents have pending batches or more events", speedFile, "if !page.Ended || len(page.Events) > 0 || ok && row.Pending != nil {", "if !page.Ended && !ok {"),
	broken("sealing goes over a pending batch", runFile, "		if row.Pending != nil {", "		if false {"),
	broken("sealing keeps an old cut", runFile, "row.Cut != nil && row.Cut.Through == row.Through", "row.Cut != nil"),
	broken("sealing does not move the epoch", runFile, "		sealed.Epoch++\n", ""),
	broken("parents are sealed before children", runFile, "	cut := make(map[string]Cut, len(ids))\n", "	cut := make(map[string]Cut, len(ids))\n	for i, j := 0, len(ids)-1; i < j; i, j = i+1, j-1 {\n		ids[i], ids[j] = ids[j], ids[i]\n	}\n"),
	broken("a run expects the pointer as it is after the seals", runFile, "	plan, err = ledger.PutPlan(", "	if pointer, err = ledger.Pointer(ctx); err != nil {\n		return Plan{}, err\n	}\n	plan, err = ledger.PutPlan("),
	broken("a run publishes over whatever is published", runFile, "if p.Seq != plan.Pointer.Seq || p.Version != plan.Pointer.Version {", "if false {"),
	broken("a run does not know its own version after a lost reply", runFile, "		if p.Version == version {\n			return true, nil\n		}\n", ""),
	broken("discarding leaves no mark", runFile, "	if err := r.mark(ctx, p.Seq); err != nil {\n		return 0, err\n	}\n", ""),
	broken("discarding takes an epoch too many", runFile, "r.Speed.RealTime.Discard(ctx, shard, m.Cut[shard].Epoch)", "r.Speed.RealTime.Discard(ctx, shard, m.Cut[shard].Epoch+1)"),
	broken("master dataset and ledger are not compared", historyFile, "		if w.balances(plan.Cut, rows) {\n			return oracle(rows, everything), nil\n		}\n		rows =", "		if len(rows) >= 0 {\n			return oracle(rows, everything), nil\n		}\n		rows ="),
	broken("all attempts of a run write to one path", historyFile, "version := protocol.VersionName(plan.Pointer, strconv.Itoa(w.attempts))", "version := protocol.VersionName(plan.Pointer, strconv.Itoa(0*w.attempts)+run)"),
	broken("the pointer is set back to an older version", historyFile, "	_, err = p.Discard(ctx)\n	return err", "	if _, err = p.Discard(ctx); err != nil {\n		return err\n	}\n	now, err := p.Speed.Ledger.Pointer(ctx)\n	if err == nil {\n		_, err = p.Speed.Ledger.SwapPointer(ctx, now, protocol.Pointer{Disc: now.Disc})\n	}\n	return err"),
	broken("items expire by themselves", itemsFile, "		out[i] = protocol.Item{ItemID: id}\n", "		out[i] = protocol.Item{ItemID: id}\n		if len(r.items) > 3 {\n			for x := range r.items {\n				if x.Epoch == 0 && x.Dims == \"a\" {\n					delete(r.items, x)\n				}\n			}\n		}\n"),
	broken("items are stored without their condition", itemsFile, "if r.items[p.Item.ItemID].Through == p.Expect {", "if true {"),
	broken("a reader's items may be stale", itemsFile, "			page.Items = append(page.Items, it)\n", "			if it.Prev != nil {\n				it.Cur, it.Through, it.Prev, it.PrevThrough = it.Prev, it.PrevThrough, nil, protocol.Position{}\n			}\n			page.Items = append(page.Items, it)\n"),
	broken("the ledger compares positions, not revisions", ledgerFile, "if !ok || stored.Rev != row.Rev {", "if !ok || stored.Through != row.Through || (stored.Pending == nil) == (row.Pending == nil) && stored.Epoch == row.Epoch {"),
	broken("the dedup set leaves out grandparents", speedFile, "append(NewLineage(shards).Ancestors(shard), shard)", "append(func() []string { kin, _ := NewLineage(shards).Shard(shard); return kin.Parents }(), shard)"),
	broken("the dedup set holds batches that are not committed", speedFile, "!seg.Through.After(through)", "true"),
	broken("a shard evicts its ancestors' segments", speedFile, "if spared, err = s.needed(ctx, family, seg); err != nil {", "if _, err = s.needed(ctx, family, seg); err != nil {"),
	broken("segments are evicted out of order", speedFile, "	for i := range set {\n		if set[i].MaxArrival >= maxArrival-keep {\n			return i\n		}\n	}\n	return len(set)\n", "	n := 0\n	for i, seg := range set {\n		if seg.MaxArrival < maxArrival-keep {\n			copy(set[n+1:i+1], set[n:i])\n			set[n] = seg\n			n++\n		}\n	}\n	return n\n"),
	broken("segments are evicted without slack", historyFile, "return within + slack", "return within"),
	{"a batch ends inside an aggregate, and the log goes on behind it", []edit{
		{historyFile, "			if e.Last {\n", "			if e.Last || true {\n"},
		{speedFile, "if !events[len(events)-1].Last {", "if false {"},
		{logFile, "!all[from].Position.After(after)", "(after.Seq != \"\" && !all[from].Position.After(protocol.Position{Seq: after.Seq, Sub: 99}))"},
	}},
	broken("a run computes over files that it did not pin", historyFile, "		if w.balances(plan.Cut, rows) {\n			return oracle(rows, everything), nil\n		}\n		if w.quiet", "		if w.balances(plan.Cut, rows) {\n			if err := w.step(ctx, \"list master again\", func() { rows = w.masterRows(plan.Cut) }); err != nil {\n				return nil, err\n			}\n			return oracle(rows, everything), nil\n		}\n		if w.quiet"),
}

// Every broken rule is found: the laws are worth something.
func TestEveryBrokenRuleIsFound(t *testing.T) {
	t.Parallel()
	if len(mutants) < 25 {
		t.Fatalf("only %d rules are broken", len(mutants))
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, err := m.run(t, root)
			var exit *exec.ExitError
			switch {
			case err == nil:
				t.Errorf("the laws hold although the rule is broken")
			case !errors.As(err, &exit) || !strings.Contains(out, errBroken.Error()):
				t.Errorf("it failed otherwise: %v\n%.3000s", err, out)
			}
		})
	}
}

// run builds the tests of this package with the rule broken and runs the laws.
// The tag leaves out the real layers, which take long to link.
func (m mutant) run(t *testing.T, root string) (string, error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "laws.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-tags", "mutants", "-overlay", m.overlay(t, root), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "-test.run", "^(TestEveryAnswerIsTheOracleOverWhatIsCommitted|TestDirected.*)$").CombinedOutput()
	return string(out), err
}

// overlay writes the sources with the rule broken, and gives what the compiler
// takes them by.
func (m mutant) overlay(t *testing.T, root string) (file string) {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for i, e := range m.edits {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		source := path
		if changed, ok := replace[path]; ok {
			source = changed
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			t.Fatalf("the piece to break stands %d times in %s; bring the mutant up to date:\n%s", n, e.file, e.old)
		}
		changed := filepath.Join(dir, string(rune('a'+i))+".go")
		if err := os.WriteFile(changed, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[path] = changed
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
