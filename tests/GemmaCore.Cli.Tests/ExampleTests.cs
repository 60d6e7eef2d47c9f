using System.Text.RegularExpressions;
using GemmaCore.Testing;
using GemmaCore.Testing.Medical;

namespace GemmaCore.Cli.Tests;

/// <summary>Every verb's <c>-h</c> shows two examples, and they run as printed, in an empty folder as in a clone.</summary>
public sealed class ExampleTests
{
    // Minutes each: tools/check.sh runs the demo, ResumeTests trains, and the --smoke example below runs the same configuration.
    private static readonly string[] TooLong = ["gemmacore demo", "gemmacore train configs/demo.yaml"];

    [Theory]
    [InlineData("demo")]
    [InlineData("doctor")]
    [InlineData("download")]
    [InlineData("init")]
    [InlineData("info")]
    [InlineData("generate")]
    [InlineData("chat")]
    [InlineData("plan")]
    [InlineData("train")]
    [InlineData("predict")]
    [InlineData("eval")]
    [InlineData("flare")]
    [InlineData("boxes")]
    [InlineData("scrub")]
    [InlineData("merge")]
    [InlineData("quantize")]
    [InlineData("serve")]
    [InlineData("bench")]
    [InlineData("verify")]
    public void The_examples_of_a_verb_run_as_printed(string verb)
    {
        string[] examples = Examples(GemmacoreProcess.Run(verb, "-h").Expect(0).Output);
        Assert.Equal(2, examples.Length);
        using var folder = new TemporaryFolder();
        using var hub = new LoopbackHub(new Dictionary<string, byte[]> { ["config.json"] = "{}"u8.ToArray() });
        string[] surroundings = ["HF_ENDPOINT=" + hub.Endpoint, "HF_HOME=" + folder.File("hub")];
        if (verb is "merge" or "serve") Run(folder, "gemmacore train configs/demo.yaml --smoke output_dir=demo-out", surroundings);
        if (verb == "eval") Run(folder, "gemmacore predict demo --data demo --dataset phantom_brain --prompts question --batch 16 --out predictions.json", surroundings);
        if (verb == "scrub")
        {
            byte[] scan = DicomWriter.Grey(2, 2, [1, 2, 3, 4]).Text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.2").Text(0x0008_0018, "UI", "1.2.3").File();
            Directory.CreateDirectory(folder.File("study"));
            foreach (string name in (string[])["scan.dcm", "study/scan.dcm"]) File.WriteAllBytes(folder.File(name), scan);
        }

        foreach (string example in examples.Except(TooLong))
        {
            if (verb == "serve") Serve(folder, example);
            else Run(folder, example, surroundings);
            if (verb == "merge") Directory.Delete(folder.File("merged"), recursive: true);
        }
    }

    [Theory]
    [InlineData("convert")]
    [InlineData("report")]
    [InlineData("submit")]
    public void The_examples_of_a_flare_verb_run_as_printed(string verb)
    {
        string[] examples = Examples(GemmacoreProcess.Run("flare", verb, "-h").Expect(0).Output);
        Assert.Equal(2, examples.Length);
        using var folder = new TemporaryFolder();
        if (verb == "submit") Run(folder, "gemmacore predict demo --data demo --prompts question --batch 32 --max-tokens 8 --out predictions.json", []);
        foreach (string example in examples) Run(folder, example, []);
    }

    [Theory]
    [InlineData("convert")]
    [InlineData("draw")]
    public void The_examples_of_a_boxes_verb_run_as_printed(string verb)
    {
        string[] examples = Examples(GemmacoreProcess.Run("boxes", verb, "-h").Expect(0).Output);
        Assert.Equal(2, examples.Length);
        using var folder = new TemporaryFolder();
        if (verb == "draw") Run(folder, "gemmacore boxes convert --data demo --dataset phantom_chest --to box_2d --out medgemma.jsonl", []);
        foreach (string example in examples) Run(folder, example, []);
    }

    [Fact]
    public void Every_verb_is_among_the_tested_ones()
    {
        string help = GemmacoreProcess.Run("-h").Expect(0).Output;
        string[] listed = [.. Regex.Matches(help[help.IndexOf("Commands:", StringComparison.Ordinal)..], @"(?m)^  (\w+) ").Select(match => match.Groups[1].Value)];
        string[] tested = [.. typeof(ExampleTests).GetMethod(nameof(The_examples_of_a_verb_run_as_printed))!.GetCustomAttributes(typeof(InlineDataAttribute), false)
            .Cast<InlineDataAttribute>().Select(data => (string)data.Data[0]!)];
        Assert.Equal(tested.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    private static string[] Examples(string help) =>
    [
        .. help[help.IndexOf("Examples:", StringComparison.Ordinal)..].Split('\n').Skip(1)
            .TakeWhile(line => line.Trim().Length > 0).Select(line => line.Trim()),
    ];

    // A server runs until it is told to stop.
    private static void Serve(TemporaryFolder folder, string example)
    {
        using GemmacoreProcess process = GemmacoreProcess.StartInterruptible(folder.Path, example.Split(' ')[1..]);
        Assert.True(process.WaitForLines("serving demo", 1), example);
        process.Interrupt();
        Assert.Contains("finishing the answers under way", process.WaitForEnd().Expect(0).Error, StringComparison.Ordinal);
    }

    private static void Run(TemporaryFolder folder, string example, string[] surroundings)
    {
        string command = "gemmacore() { \"$HOST\" exec \"$PROGRAM\" \"$@\"; }\n" + example;
        using GemmacoreProcess process = GemmacoreProcess.Launch(
            folder.Path, "env", [.. surroundings, "HOST=" + GemmacoreProcess.Host, "PROGRAM=" + GemmacoreProcess.Program, "bash", "-c", command], threads: 2);
        process.WaitForEnd().Expect(0);
    }
}
