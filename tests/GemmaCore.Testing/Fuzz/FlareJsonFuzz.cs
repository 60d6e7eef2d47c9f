using System.Text;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Testing.Fuzz;

/// <summary>Outcome of a fuzz run; an unexpected exception ends the run instead.</summary>
/// <param name="Inputs">Damaged question files tried.</param>
/// <param name="Accepted">Those that were read as a list of questions.</param>
/// <param name="Rows">Usable rows in them.</param>
/// <param name="BadRows">Rows that were listed and left out.</param>
public readonly record struct FlareFuzzCount(long Inputs, long Accepted, long Rows, long BadRows);

/// <summary>Damages a small FLARE question file in random places; only <see cref="DatasetException"/> may come out.</summary>
public static class FlareJsonFuzz
{
    private const string Seed = """
        {"questions":[{"TaskType":"Classification","Modality":"X-ray","ImageName":"imagesTr/a.jpg","Question":"Which? A: x B: y","Answer":"A","Split":"train"},
        {"task_type":"multi-label classification","image":["imagesTr/a.jpg","b.png"],"prompt":"Findings?","label":["x","y"],"Choices":{"A":"x","B":"y"},"qid":7},
        {"TaskType":"instance_detection","ImageName":"a.jpg","Question":"Where?","Answer":"[[1, 2, 3, 4], [5, 6, 7, 8]]","CaseID":"c/1"},
        {"TaskType":"Cell Counting","ImageName":"a.jpg","Question":"How many \u00e9?","Answer":12,"Options":["a","b"]},3]}
        """;

    private static readonly PromptSet[] Prompts = [PromptSet.Question, PromptSet.Flare25, PromptSet.Flare26];

    /// <summary>Tries <paramref name="iterations"/> damaged files, always the same for one <paramref name="seed"/>.</summary>
    public static FlareFuzzCount Run(long iterations, int seed)
    {
        byte[] original = Encoding.UTF8.GetBytes(Seed);
        var damage = new JsonDamage(seed, "\"../../x\"", "\"detection\"", "\"Report Generation\"", "[[1,2,3,4]]", "\uFEFF");
        long accepted = 0, rows = 0, badRows = 0;
        for (long iteration = 0; iteration < iterations; iteration++)
        {
            var report = new RowReport(Skip: iteration % 2 == 0);
            try
            {
                rows += FlareDataset.Parse(damage.Damage(original), "fuzz_train.json", "fuzz", name => name.Length > 40 ? null : name, Prompts[iteration % 3], report).Count;
                accepted++;
            }
            catch (DatasetException)
            {
                // Refusing is the point.
            }

            badRows += report.Skipped.Count;
        }

        return new FlareFuzzCount(iterations, accepted, rows, badRows);
    }
}
