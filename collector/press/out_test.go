package press_test
import ("testing";"os";"time";"github.com/smartvillage/nabz/collector/press")
func TestOut(t *testing.T){ for _,w:=range []words{english(),urdu()} { d:=sample(w,40); t0:=time.Now(); f,_:=os.Create("/tmp/out-"+w.language+".pdf"); if err:=press.PDF(f,d);err!=nil{t.Fatal(err)}; f.Close(); t.Log(time.Since(t0)); f,_=os.Create("/tmp/out-"+w.language+".html"); if err:=press.Page(f,d);err!=nil{t.Fatal(err)}; f.Close()}}
