using System.Text.Json;
using GemmaCore.Evaluation;
using GemmaCore.Inputs;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Datasets;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training.Tests.RunFiles;

public sealed class RunPassportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-passport-").FullName;

    [Fact]
    public void The_passport_holds_what_was_promised()
    {
        new RunPassport
        {
            Configuration = new TrainingConfiguration { ModelNameOrPath = "demo", LearningRate = 1e-3 },
            BaseModelHash = "sha256:a",
            DataHash = "sha256:b",
            CodeVersion = "0.1.0+c",
            Device = "cpu",
            PrecisionPath = "fp32",
            PeakMemoryMeasuredBytes = 5_000_000_000,
        }.Write(_folder);
        string text = File.ReadAllText(Path.Combine(_folder, "run.json"));
        using JsonDocument document = JsonDocument.Parse(text);
        JsonElement root = document.RootElement;
        Assert.Equal(("demo", "sha256:a", "sha256:b"), (root.GetProperty("base_model").GetString(), root.GetProperty("base_model_hash").GetString(), root.GetProperty("data_hash").GetString()));
        Assert.Equal(1e-3, root.GetProperty("configuration").GetProperty("learning_rate").GetDouble());
        Assert.Equal(5_000_000_000, root.GetProperty("peak_memory_measured_bytes").GetInt64());
        Assert.Equal(JsonValueKind.Null, root.GetProperty("peak_memory_planned_bytes").ValueKind);
        Assert.Contains("0.1.0+c", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_hash_of_data_depends_on_every_part_of_a_row_and_on_the_order()
    {
        TrainingExample a = Row("d", "question", "answer"), b = Row("d", "question 2", "answer");
        string[] hashes =
        [
            RunPassport.HashOf([a, b]), RunPassport.HashOf([b, a]), RunPassport.HashOf([a]), RunPassport.HashOf([]), RunPassport.HashOf([Row("e", "question", "answer")]),
            RunPassport.HashOf([Row("d", "questiona", "nswer")]), RunPassport.HashOf([Row("d", "question", "answer", [1, 2])]), RunPassport.HashOf([Row("d", "question", "answer", [1, 3])]),
        ];
        Assert.Equal(hashes.Length, hashes.Distinct().Count());
        Assert.Equal(RunPassport.HashOf([a, b]), RunPassport.HashOf([Row("d", "question", "answer"), b]));
        Assert.Matches("^sha256:[0-9a-f]{64}$", hashes[0]);
    }

    [Fact]
    public void The_hash_of_data_does_not_depend_on_where_the_folder_lies()
    {
        string[] hashes = [.. new[] { "x", "y" }.Select(name =>
        {
            string file = Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, name)).FullName, "picture.png");
            File.WriteAllBytes(file, [1, 2, 3]);
            return RunPassport.HashOf([new TrainingExample("d", name, [new ChatMessage(ChatRole.User, [new ImagePart(ImageSource.FromFile(file))])], "a", TaskType.Counting)]);
        })];
        Assert.Equal(hashes[0], hashes[1]);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static TrainingExample Row(string dataset, string question, string answer, byte[]? image = null) => new(
        dataset,
        "row",
        [new ChatMessage(ChatRole.User, image is null ? [new TextPart(question)] : [new ImagePart(ImageSource.FromBytes(image)), new TextPart(question)])],
        answer,
        null);
}
