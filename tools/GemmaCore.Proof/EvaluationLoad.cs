using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using GemmaCore.Evaluation;

namespace GemmaCore.Proof;

/// <summary>Makes prediction and reference files of as many rows as a whole FLARE test run has, and says what it takes to score them.</summary>
internal static class EvaluationLoad
{
    private static readonly string[] Letters = ["A", "B", "C", "D", "E", "F"];

    /// <summary>The files alone, for measuring the command itself.</summary>
    public static (string References, string Predictions) Make(string folder, int rows, int seed)
    {
        var random = new Random(seed);
        string references = Path.Combine(folder, "testing.jsonl"), predictions = Path.Combine(folder, "testing_predictions.jsonl");
        using var expected = new StreamWriter(references);
        using var given = new StreamWriter(predictions);
        for (int row = 0; row < rows; row++)
        {
            var task = (TaskType)(row % 5);
            string uid = $"testing:set{row % 19:D2}:set{row % 19:D2}_questions_test:case_{row:D6}:{task.Name()}:{row}";
            (string reference, string prediction) = Answers(task, random);
            expected.WriteLine(JsonSerializer.Serialize(new { split = "testing", uid, modality = "X-ray", task_type = task.Name(), raw_answer = reference, question = "Where is the finding?", image = $"imagesTs/case_{row:D6}.jpg" }));
            given.WriteLine(JsonSerializer.Serialize(new { uid, prediction, task_type = task.Name(), case_id = $"case_{row:D6}" }));
        }

        return (references, predictions);
    }

    /// <summary>Scores such files and prints seconds and memory.</summary>
    public static int Print(int rows, int resamples)
    {
        string folder = Directory.CreateTempSubdirectory("gemmacore-load-").FullName;
        try
        {
            (string references, string predictions) = Make(folder, rows, seed: 1);
            Circumstances.Print($"tools/eval_load.sh {rows} {resamples}");
            Console.WriteLine("| what | seconds | peak memory MB |");
            Console.WriteLine("|---|---:|---:|");
            long start = Stopwatch.GetTimestamp();
            MatchedRows matched = RowMatching.Match(ReferenceReader.Read([references], []), PredictionReader.Read([predictions]), allowMissing: false);
            EvaluationResult plain = new Evaluator(ScoringRules.Flare26, 0, 1).Score(matched);
            ScoreFiles.Text(ScoreFiles.Details(plain, []));
            using (var table = new StreamWriter(Path.Combine(folder, "rows.csv"))) CsvTables.WriteRows(plain, table);
            Line($"read, score and write {rows} rows", start);
            start = Stopwatch.GetTimestamp();
            EvaluationResult drawn = new Evaluator(ScoringRules.Flare26, resamples, 1).Score(matched);
            Line($"score with {resamples} resamples, by split, data set and modality", start);
            return plain.Rows.Count == rows && drawn.Mean.All(metric => metric.Interval is not null) ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Line(string what, long start)
    {
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        using var process = Process.GetCurrentProcess();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {what} | {seconds:F2} | {process.PeakWorkingSet64 / 1e6:F0} |"));
    }

    private static (string Reference, string Prediction) Answers(TaskType task, Random random)
    {
        string Labels() => string.Join("; ", Letters.Where(_ => random.Next(3) == 0).Select(letter => "finding " + letter));
        string Boxes() => "[" + string.Join(", ", Enumerable.Range(0, random.Next(1, 6)).Select(_ => $"[{random.Next(40)}, {random.Next(40)}, {random.Next(60, 99)}, {random.Next(60, 99)}]")) + "]";
        return task switch
        {
            TaskType.Classification => (Letters[random.Next(6)], Letters[random.Next(6)]),
            TaskType.MultiLabelClassification => (Labels() is { Length: > 0 } labels ? labels : "none", Labels()),
            TaskType.Detection => (Boxes(), Boxes()),
            TaskType.Counting => ($"{random.Next(400)}", $"{random.Next(400)} cells"),
            _ => (random.NextDouble().ToString("F4", CultureInfo.InvariantCulture), random.NextDouble().ToString("F2", CultureInfo.InvariantCulture)),
        };
    }
}
