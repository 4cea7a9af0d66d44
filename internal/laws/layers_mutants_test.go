//go:build !mutants

package laws

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const (
	sqlFile      = "internal/sql/duckdb.go"
	queriesFile  = "internal/sql/queries.go"
	checkFile    = "internal/batch/check.go"
	archiverFile = "internal/archive/archiver.go"
	folderFile   = "internal/speed/folder.go"
	seenFile     = "internal/speed/seen.go"
	identityFile = "internal/rowlogic/identity.go"
	logicFile    = "internal/rowlogic/logic.go"
	int128File   = "internal/measure/int128.go"
	groupsFile   = "internal/serving/groups.go"
	shrinkFile   = "internal/laws/shrink.go"

	incrementalFile = "internal/batch/incremental.go"
	stepsFile       = "internal/batch/steps.go"
	sinceFile       = "internal/sql/since.go"
	sinceGoFile     = "internal/duckdb/since.go"
)

// layerMutants break rules of the real layers in turn. In the new text, BROKEN
// is whether this very rule is to be broken: linking DuckDB takes long, so all
// of them are in one program. It is made of overlays for the compiler, like the
// other mutants: nothing in the product can break a rule.
var layerMutants = []mutant{
	broken("the batch layer holds rows against any shard's cut", sqlFile,
		"	fmt.Fprintf(&b, \") AS cut (shard, through)\\nON %s = cut.shard AND %s <= cut.through\", shard, position)\n",
		"	on := \"%s = cut.shard\"\n	if BROKEN {\n		on = \"%s <> ''\"\n	}\n	fmt.Fprintf(&b, \") AS cut (shard, through)\\nON \"+on+\" AND %s <= cut.through\", shard, position)\n"),
	broken("the batch layer computes rows behind the cut", sqlFile,
		"AND %s <= cut.through\", shard, position)\n	if s.Distinct {",
		"AND %s <= cut.through\", shard, position)\n	if BROKEN {\n		return strings.ReplaceAll(b.String(), \"<= cut.through\", \"<> cut.through\"), nil\n	}\n	if s.Distinct {"),
	broken("the batch layer looks for duplicates in the order of arrivals", queriesFile,
		"q.name(archive.IDLowColumn), q.name(archive.PositionColumn))",
		"q.name(archive.IDLowColumn), q.name(map[bool]string{false: archive.PositionColumn, true: archive.ArrivalColumn}[BROKEN]))"),
	broken("the batch layer keeps rows twice that are stored twice", sqlFile,
		"	if s.Distinct {\n		fmt.Fprintf(&b,", "	if s.Distinct && !(BROKEN) {\n		fmt.Fprintf(&b,"),
	broken("the double entry does not compare", checkFile,
		"		b.Equal = b.Equal && ledger == master\n",
		"		b.Equal = b.Equal && (ledger == master || BROKEN)\n"),
	broken("a repair says that it is done and writes nothing", archiverFile,
		"	for r := (&repairer{log: a.Log, shard: shard, spans: spans}); len(r.spans) > 0; {\n",
		"	for r := (&repairer{log: a.Log, shard: shard, spans: spans}); len(r.spans) > 0 && !(BROKEN); {\n"),
	broken("the speed layer forgets ids as soon as the window is over", folderFile,
		"return f.within + Slack.Milliseconds()", "if BROKEN {\n		return f.within\n	}\n	return f.within + Slack.Milliseconds()"),
	broken("the speed layer uses a dedup set of another position", seenFile,
		"	default:\n		return false\n", "	default:\n		if !(BROKEN) {\n			return false\n		}\n		s.through, s.before, s.added, s.expired = through, through, 0, nil\n"),
	broken("the speed layer does not take back a batch that was not committed", seenFile,
		"for i := len(s.undo) - 1; i >= 0; i-- {", "for i := len(s.undo) - 1; i >= 0 && !(BROKEN); i-- {"),
	broken("an id alone makes a duplicate", identityFile,
		"	text = append(text, partitionKey...)\n	if !stray", "	if BROKEN {\n		text = text[:0]\n	} else {\n		text = append(text, partitionKey...)\n	}\n	if !stray"),
	broken("strays count", logicFile, "if e.Aggregated && e.Stray {", "if e.Aggregated && e.Stray && !(BROKEN) {"),
	broken("sums are added up in 64 bits", int128File,
		"	hi, _ := bits.Add64(", "	if BROKEN {\n		return FromInt64(int64(lo))\n	}\n	hi, _ := bits.Add64("),
	broken("an incremental run does not look back", incrementalFile,
		"if r.Definition == nil || r.Definition.Events.ID == \"\" {\n		return r.before.Cut\n", "if r.Definition == nil || r.Definition.Events.ID == \"\" || BROKEN {\n		return r.before.Cut\n"),
	broken("an incremental run adds rows that its version before has", sinceFile,
		"return \"\\nWHERE s.\" + addedColumn", "if BROKEN {\n		return \"\"\n	}\n	return \"\\nWHERE s.\" + addedColumn"),
	broken("an incremental run does not roll the version before up", sinceGoFile,
		"if to := kept.Bucket(at); to != at {", "if to := kept.Bucket(at); to != at && !(BROKEN) {"),
	broken("a reader counts items that its version covers", readFile,
		"it.Epoch <= c.Epoch {", "it.Epoch <= c.Epoch && !(BROKEN) {"),
	{"a step publishes what does not balance", []edit{
		{stepsFile, "	if a.differ != nil {\n		return a.differ\n	}\n", "	if a.differ != nil && !(BROKEN) {\n		return a.differ\n	}\n"},
		{stepsFile, "	case a.differ == nil:\n		return r.then(deployment.PublishStep)\n	case", "	case a.differ == nil || BROKEN:\n		return r.then(deployment.PublishStep)\n	case"},
	}},
}

// Too rare for the histories: which of the batch layer's own tests finds it.
var tooRare = mutant{"an incremental run looks back for half the window", []edit{{incrementalFile,
	"r.Definition.Events.DedupeWithin.Milliseconds()) {", "r.Definition.Events.DedupeWithin.Milliseconds()/2) {"}}}

func TestABrokenRuleThatHistoriesMissIsFoundByATestOfItsOwn(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", tooRare.overlay(t, root), "-run", "^TestLookBack$", "../batch").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--- FAIL: TestLookBack") {
		t.Errorf("with a broken rule the test says: %v\n%.3000s", err, out)
	}
}

// breakable builds the tests of this package with every rule of the real layers
// ready to be broken: by its name in the environment.
func breakable(t *testing.T, root string) (binary string) {
	t.Helper()
	dir := t.TempDir()
	texts := map[string]string{}
	edit := func(e edit) {
		text, read := texts[e.file]
		if !read {
			b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(e.file)))
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			t.Fatalf("the piece to break stands %d times in %s; bring the mutant up to date:\n%s", n, e.file, e.old)
		}
		texts[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	switches := map[string]string{} // by folder
	for i, m := range layerMutants {
		for _, e := range m.edits {
			e.new = strings.ReplaceAll(e.new, "BROKEN", fmt.Sprintf("(brokenRule == %q)", fmt.Sprint(i)))
			edit(e)
			folder, pkg := path.Dir(e.file), path.Base(path.Dir(e.file))
			switches[folder+"/broken_rule.go"] = fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar brokenRule = os.Getenv(%q)\n", pkg, brokenRule)
		}
	}
	edit(broken("", shrinkFile, "const shrinkPlays = 3000", "const shrinkPlays = 0").edits[0])
	replace := map[string]string{}
	for _, all := range []map[string]string{texts, switches} {
		for name, text := range all {
			changed := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
			if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(root, filepath.FromSlash(name))] = changed
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "laws.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return binary
}

// brokenRule is the variable of the environment that names the rule to break.
const brokenRule = "WATERSHED_BROKEN_RULE"

// Every broken rule of the real layers is found by their histories: what they
// check is worth something.
func TestEveryBrokenRuleOfTheLayersIsFound(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	binary := breakable(t, root)
	play := func(t *testing.T, rule, tests string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run", tests)
		cmd.Env = append(os.Environ(), brokenRule+"="+rule)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := play(t, "", "^TestAScriptPlaysAHistoryOfTheRealLayersAgain$"); err != nil {
		t.Fatalf("no rule is broken, and it fails: %v\n%.3000s", err, out)
	}
	for i, m := range layerMutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			tests := "^TestTheRealLayersAnswerAsTheOracle$"
			if m.edits[0].file == stepsFile {
				tests = "^TestRunsInStepsAnswerAsTheOracle$"
			}
			out, err := play(t, fmt.Sprint(i), tests)
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
