package standin

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// SparkVariable is the environment variable that says where `make standins` put
// Spark: a folder with its Python environment, and in jars what it needs for S3.
const SparkVariable = "WATERSHED_TEST_SPARK"

// Spark gives the command that runs a Python program with its arguments in a Spark
// on this machine, with s3:// at an endpoint. The command keeps its temporary files
// in a directory and ends with this process at the latest.
func Spark(endpoint, dir string, program ...string) (*exec.Cmd, error) {
	home, err := where(SparkVariable)
	if err != nil {
		return nil, err
	}
	arguments := []string{"--master", "local[2]", "--driver-memory", "1g", "--driver-class-path", filepath.Join(home, "jars", "*")}
	for _, setting := range [][2]string{
		{"spark.ui.enabled", "false"},
		{"spark.log.level", "WARN"},
		{"spark.driver.bindAddress", "127.0.0.1"},
		{"spark.driver.host", "127.0.0.1"},
		// Of a program that runs for seconds, compiling well costs more than it gains.
		{"spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.io.tmpdir=" + dir},
		{"spark.local.dir", dir},
		{"spark.sql.shuffle.partitions", "4"},
		// Few rows make several files.
		{"spark.sql.adaptive.advisoryPartitionSizeInBytes", "64k"},
		{"spark.sql.adaptive.coalescePartitions.minPartitionSize", "16k"},
		{"spark.hadoop.hadoop.tmp.dir", dir},
		{"spark.hadoop.fs.s3.impl", "org.apache.hadoop.fs.s3a.S3AFileSystem"},
		{"spark.hadoop.fs.s3a.endpoint", endpoint},
		{"spark.hadoop.fs.s3a.endpoint.region", "us-east-1"},
		{"spark.hadoop.fs.s3a.path.style.access", "true"},
		{"spark.hadoop.fs.s3a.connection.ssl.enabled", "false"},
		{"spark.hadoop.fs.s3a.attempts.maximum", "3"},
		{"spark.hadoop.fs.s3a.retry.limit", "3"},
		{"spark.hadoop.fs.s3a.access.key", "testing"},
		{"spark.hadoop.fs.s3a.secret.key", "testing"},
	} {
		arguments = append(arguments, "--conf", setting[0]+"="+setting[1])
	}
	python := filepath.Join(home, "bin", "python")
	cmd := exec.Command(filepath.Join(home, "bin", "spark-submit"), append(arguments, program...)...)
	cmd.Env = append(os.Environ(), "PYSPARK_PYTHON="+python, "PYSPARK_DRIVER_PYTHON="+python, "PYTHONDONTWRITEBYTECODE=1", "SPARK_LOCAL_IP=127.0.0.1")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, nil
}
