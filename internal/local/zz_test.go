package local
import ("testing";"os";"path/filepath";"fmt";"github.com/watershed-data/watershed/internal/protocol")
func TestZZ(t *testing.T){
 for _, frac := range []int{5,4,3,2} {
 dir:=t.TempDir(); filled(t,dir)
 ps,_:=filepath.Glob(filepath.Join(dir,"state","*"))
 for _,p:=range ps { i,_:=os.Stat(p); fmt.Println(filepath.Base(p), i.Size()) }
 ps,_=filepath.Glob(filepath.Join(dir,"state","*.log"))
 b,_:=os.ReadFile(ps[len(ps)-1]); 
 end:=len(b); for end>0 && b[end-1]==0 {end--}
 fmt.Println("used", end, "of", len(b))
 for i:=end/frac;i<end/frac+64;i++{b[i]^=0xff}
 os.WriteFile(ps[len(ps)-1],b,0o644)
 s,err:=Open(dir,Options{Pipeline:"sales"})
 fmt.Println(frac, err)
 if err==nil { n:=0; for i:=range uint32(2){p,_:=s.Log().Read(t.Context(),shardID(i),protocol.Position{},1000); n+=len(p.Events)}; fmt.Println("left",n); s.Close()}
 }
}
