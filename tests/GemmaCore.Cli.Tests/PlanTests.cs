using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

public sealed class PlanTests : IDisposable
{
    private static readonly string Configs = Goldens.RepositoryPath("configs");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_plan_is_one_document_whose_parts_make_the_whole()
    {
        Finished finished = GemmacoreProcess.Run("plan", "demo", "max_length=64", "--device", "cpu", "--json").Expect(0);
        JsonObject plan = JsonNode.Parse(finished.Output)!.AsObject();
        Assert.Equal(
            ["device", "sample", "settings", "parts", "loss_chunk_bytes", "training_bytes", "preparation_bytes", "mapped_bytes", "driver_bytes", "peak_bytes", "limit_bytes", "given_up", "answering", "roofline"],
            plan.Select(field => field.Key));
        Assert.Equal(plan["training_bytes"]!.GetValue<long>(), plan["parts"]!.AsObject().Sum(part => part.Value!.GetValue<long>()));
        Assert.True(plan["answering"]!["kv_cache_bytes"]!.GetValue<long>() > 0);
        Assert.Null(plan["limit_bytes"]);
    }

    // The counts are tested by hand in Models.Tests and Training.Tests; here, that the right peaks divide them.
    [Theory]
    [InlineData("auto", 320, 65000)]
    [InlineData("fp32", 320, 8100)]
    public void A_card_s_roofline_is_operations_or_bytes_over_what_its_data_sheet_promises(string dtype, double gigabytes, double gigaflops)
    {
        JsonObject roofline = Roofline("plan", "--preset", "gemma-3-270m", "max_length=512", "max_steps=50", "--card", "t4", "--dtype", dtype, "--json");
        Assert.Equal((gigabytes, gigaflops), (roofline["gb_per_s"]!.GetValue<double>(), roofline["gflop_per_s"]!.GetValue<double>()));
        JsonNode step = roofline["step"]!, token = roofline["token"]!;
        double seconds = step["seconds"]!.GetValue<double>();
        Assert.Equal(step["operations"]!.GetValue<double>() / gigaflops / 1e9, seconds, 1e-9); // bound by arithmetic
        Assert.Equal(50 * seconds, roofline["run_seconds"]!.GetValue<double>(), 1e-9);
        double fromMemory = token["read_bytes"]!.GetValue<double>() - roofline["cache_bytes"]!.GetValue<double>();
        Assert.Equal(gigabytes * 1e9 / fromMemory, roofline["tokens_per_s"]!.GetValue<double>(), 1e-6); // bound by memory
    }

    [Fact]
    public void The_CPU_s_roofline_is_measured_and_printed_as_what_it_is()
    {
        JsonObject roofline = Roofline("plan", "demo", "max_length=64", "--device", "cpu", "--json");
        Assert.True(roofline["gb_per_s"]!.GetValue<double>() > 0.1);
        Assert.True(roofline["gflop_per_s"]!.GetValue<double>() > 0.1);
        Assert.Null(roofline["run_seconds"]); // nobody said how many steps
        string text = GemmacoreProcess.Run("plan", "demo", "max_length=64", "--device", "cpu").Expect(0).Output;
        foreach (string line in (string[])["not a forecast", "read peak measured now", "step of 8 samples", "1000 samples", "a picture of a prompt", "tok/s"]) Assert.Contains(line, text, StringComparison.Ordinal);
    }

    [Fact]
    public void Keys_and_values_in_16_bits_take_half_the_memory_and_other_formats_are_refused()
    {
        long[] bytes =
        [
            .. ((string[])["f32", "bf16"]).Select(dtype => JsonNode.Parse(
                GemmacoreProcess.Run("plan", "demo", "max_length=64", "--device", "cpu", "--kv-cache-dtype", dtype, "--json").Expect(0).Output)!["answering"]!["kv_cache_bytes"]!.GetValue<long>()),
        ];
        Assert.InRange((double)bytes[0] / bytes[1], 1.9, 2.0); // the tables of pages are as long
        foreach (string[] command in (string[][])[["plan", "demo"], ["generate", "demo", "--prompt", "Hello"], ["serve", "demo"]])
            Assert.Contains("--kv-cache-dtype f16: expected f32 or bf16", GemmacoreProcess.Run([.. command, "--kv-cache-dtype", "f16"]).Expect(2).Error, StringComparison.Ordinal);
        string[] answers = [.. ((string[])["f32", "bf16"]).Select(dtype => GemmacoreProcess.Run("generate", "demo", "--prompt", "Hello", "--max-tokens", "8", "--kv-cache-dtype", dtype).Expect(0).Output)];
        Assert.All(answers, answer => Assert.NotEqual("", answer.Trim()));
    }

    [Theory]
    [InlineData("medgemma_4gb.yaml", "gtx1650", 3.4, "", "int8")]
    [InlineData("medgemma_t4.yaml", "t4", 11.0, "samples_at_once", "int8")]
    [InlineData("medgemma_ampere.yaml", "a100", 80.0, "", "bf16")]
    [InlineData("medgemma_ampere.yaml", "rtx3090", 24.0, "samples_at_once", "bf16")]
    public void The_presets_fit_their_cards_with_MedGemma_4B(string file, string card, double gigabytes, string givenUp, string head)
    {
        Finished finished = GemmacoreProcess.Run("plan", Path.Combine(Configs, file), "--preset", "medgemma-4b", "--card", card, "--json").Expect(0);
        JsonObject plan = JsonNode.Parse(finished.Output)!.AsObject();
        Assert.InRange(plan["peak_bytes"]!.GetValue<long>(), 3e9, gigabytes * 1e9);
        // Quantised presets hold the head in 8 bits as well (kernels.md 1.5).
        Assert.NotNull(plan["parts"]![$"embeddings and head ({head})"]);
        string[] lines = [.. plan["given_up"]!.AsArray().Select(line => line!.GetValue<string>())];
        if (givenUp.Length == 0) Assert.Empty(lines);
        else Assert.StartsWith(givenUp, Assert.Single(lines), StringComparison.Ordinal);
        Assert.Equal("", finished.Error);
    }

    // The embedded model stands for MedGemma: 8 x 8 patches, so that 256 tokens cannot be, and a CPU that has no 16-bit arithmetic.
    [Theory]
    [InlineData("medgemma_4gb.yaml")]
    [InlineData("medgemma_t4.yaml", "fp16: the CPU computes in fp32; that is done instead", "mm_tokens_per_image: 256 tokens cannot be pooled from 8 x 8 patches; 64 are used")]
    [InlineData("medgemma_ampere.yaml", "bf16: the CPU computes in fp32; that is done instead")]
    public void Every_preset_runs_three_steps_and_holds_its_plan(string file, params string[] notes)
    {
        Finished finished = GemmacoreProcess.RunIn(
            _folder.Path, "train", Path.Combine(Configs, file), "--smoke", "--device", "cpu", "model_name_or_path=demo", "dataset.path=demo",
            "dataset.prompts=question", "dataset.tasks=[phantom_cells]", "output_dir=out", "lora_rank=4", "per_device_train_batch_size=2", "gradient_accumulation_steps=1",
            "max_length=160").Expect(0);
        foreach (string note in notes) Assert.Contains(note, finished.Error, StringComparison.Ordinal);
        JsonObject run = JsonNode.Parse(File.ReadAllText(_folder.File("out/run.json")))!.AsObject();
        double planned = run["peak_memory_planned_bytes"]!.GetValue<long>(), measured = run["peak_memory_measured_bytes"]!.GetValue<long>();
        Assert.InRange(measured / planned, 0.95, 1.05);
        Assert.Equal(3, run["steps"]!.GetValue<int>());
    }

    [Fact]
    public void A_run_keeps_within_the_memory_it_is_given_and_says_what_it_gave_up()
    {
        ShortRun.WriteConfiguration(_folder.Path);
        GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "max_steps=2", "per_device_train_batch_size=8").Expect(0);
        long whole = Peak();
        Finished finished = GemmacoreProcess.RunIn(
            _folder.Path, "train", "run.yaml", "max_steps=2", "per_device_train_batch_size=8", "overwrite_output_dir=true", $"memory={whole / 2}").Expect(0);
        Assert.Contains("to fit into memory: ", finished.Error, StringComparison.Ordinal);
        Assert.InRange(Peak(), 1, whole / 2);

        // It goes on as it began, though there is more memory now.
        byte[] adapter = File.ReadAllBytes(_folder.File("out/adapter_model.safetensors"));
        Finished resumed = GemmacoreProcess.RunIn(_folder.Path, "train", "run.yaml", "max_steps=2", "per_device_train_batch_size=8", "--resume", "out/checkpoint-1").Expect(0);
        Assert.Contains("as this run began: ", resumed.Error, StringComparison.Ordinal);
        Assert.InRange(Peak(), 1, whole / 2);
        Assert.Equal(adapter, File.ReadAllBytes(_folder.File("out/adapter_model.safetensors")));

        long Peak() => JsonNode.Parse(File.ReadAllText(_folder.File("out/run.json")))!["peak_memory_measured_bytes"]!.GetValue<long>();
    }

    [Theory]
    [InlineData("40GB", 16106127360)] // a T4 has 15 GiB
    [InlineData("4GB", 4000000000)]
    public void The_limit_is_what_was_asked_for_of_what_the_card_has(string memory, long limit)
    {
        JsonNode plan = JsonNode.Parse(GemmacoreProcess.Run("plan", "--preset", "tiny", "max_length=64", "--card", "t4", "--memory", memory, "--json").Expect(0).Output)!;
        Assert.Equal(limit, plan["limit_bytes"]!.GetValue<long>());
    }

    // A card of 100 MB, of which a run leaves 64 MiB to others; the driver has taken its share of what is not free.
    [Fact]
    public void A_card_of_this_machine_is_asked_what_is_free()
    {
        string[] card = SimulatedCards.Environ("t4", _folder.File("kernels"), "GEMMACORE_CUDASIM_MEMORY=100000000");
        JsonNode plan = JsonNode.Parse(SimulatedCards.Run(_folder.Path, card, "plan", "demo", "max_length=64", "--device", "cuda", "--json").Expect(0).Output)!;
        Assert.Equal((100000000 - (64 << 20), 0), (plan["limit_bytes"]!.GetValue<long>(), plan["driver_bytes"]!.GetValue<long>()));
        Assert.Equal("Tesla T4", plan["device"]!.GetValue<string>());
        string text = SimulatedCards.Run(_folder.Path, card, "plan", "demo", "max_length=64", "--device", "cuda").Expect(0).Output;
        Assert.Contains("limit: 100.0 MB free, 67.1 MB stay for others", text, StringComparison.Ordinal);
        Assert.DoesNotContain("which does not fit", text, StringComparison.Ordinal); // 62 MB to answer, which leaves nothing to others
    }

    [Fact]
    public void A_card_without_room_is_said_to_have_what_it_has_free()
    {
        ShortRun.WriteConfiguration(_folder.Path);
        string[] card = SimulatedCards.Environ("t4", _folder.File("kernels"), "GEMMACORE_CUDASIM_MEMORY=70000000");
        Assert.Contains("--device auto means the CPU here: ", SimulatedCards.Run(_folder.Path, [.. card, "GEMMACORE_CUDASIM_DRIVER=11010"], "plan", "run.yaml").Expect(0).Error, StringComparison.Ordinal);
        foreach (string[] verb in (string[][])[["train", "run.yaml"], ["plan", "run.yaml"]])
        {
            string line = SimulatedCards.Run(_folder.Path, card, [.. verb, "--device", "cuda"]).Expect(1).Error.Split('\n')[^1];
            Assert.Contains("nothing fits into the 70.0 MB that the card has free, of which 67.1 MB stay for others: the smallest plan takes ", line, StringComparison.Ordinal);
            Assert.DoesNotContain("driver", line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Answering_is_compared_with_the_limit_and_a_context_longer_than_the_model_is_cut_aloud()
    {
        string[] plan = ["plan", "--preset", "medgemma-4b", "--card", "t4", "load_in_4bit=true", "per_device_train_batch_size=1", "--context", "200000"];
        Finished finished = GemmacoreProcess.Run(plan).Expect(0);
        Assert.Contains("--context 200000: the model has 131072 positions; planned for as many", finished.Error, StringComparison.Ordinal);
        Assert.Contains("peak, which does not fit", finished.Output, StringComparison.Ordinal);
        Assert.False(JsonNode.Parse(GemmacoreProcess.Run([.. plan, "--json"]).Expect(0).Output)!["answering"]!["fits"]!.GetValue<bool>());
    }

    [Theory]
    [InlineData(2, "say what to plan", "plan")]
    [InlineData(2, "did you mean '--preset'?", "plan", "--prest", "medgemma-4b")]
    [InlineData(2, "'--quantize' is unknown here, where the settings of training say it: load_in_4bit=true (nf4) or load_in_8bit=true (int8)", "plan", "demo", "--quantize", "nf4")]
    [InlineData(2, "quantize_head=int8", "train", "run.yaml", "--quantize-head", "int8")]
    [InlineData(1, "cannot hold 100000000 pictures of 256 tokens and an answer", "plan", "--preset", "medgemma-4b", "--card", "t4", "load_in_8bit=true", "--images", "100000000")]
    [InlineData(1, ". To answer in 4096 tokens takes 3.79 GB, which fits", "plan", "--preset", "medgemma-4b", "--card", "gtx1650", "load_in_4bit=true", "quantize_head=int8")]
    [InlineData(1, "which does not fit either", "plan", "--preset", "medgemma-4b", "--card", "gtx1650", "--memory", "1GB")]
    [InlineData(1, "use load_in_4bit: true instead of load_in_8bit, ", "plan", "--preset", "medgemma-4b", "--card", "gtx1650", "load_in_8bit=true")]
    [InlineData(2, "--preset huge: expected tiny, mini", "plan", "--preset", "huge")]
    [InlineData(2, "--card gtx480: expected gtx1650, t4", "plan", "--preset", "tiny", "--card", "gtx480")]
    [InlineData(2, "--memory: expected an amount such as 4GB or 3.4GiB, got 'much'", "plan", "--preset", "tiny", "--memory", "much")]
    [InlineData(2, "one MODEL or CONFIG is enough", "plan", "demo", "demo")]
    [InlineData(2, "nowhere.yaml: not found", "plan", "nowhere.yaml")]
    [InlineData(2, "--context: expected at least 1 token", "plan", "demo", "--context", "0")]
    [InlineData(2, "--card: --device cpu was given as well", "plan", "demo", "--card", "t4", "--device", "cpu")]
    [InlineData(1, "Tesla T4 computes in fp16 for sm_75, not in bf16; use auto, fp16 or fp32", "plan", "demo", "--card", "t4", "--dtype", "bf16")]
    [InlineData(1, "lora_rnk", "plan", "demo", "lora_rnk=3")]
    [InlineData(1, "max_length: 20 tokens cannot hold 2 pictures of 16 tokens and an answer", "plan", "demo", "--images", "2", "max_length=20", "--device", "cpu")]
    [InlineData(1, "nothing fits into 1.00 GB", "plan", "--preset", "medgemma-4b", "--card", "a100", "--memory", "1GB")]
    [InlineData(1, "the driver about 268.4 MB", "plan", "--preset", "medgemma-4b", "--card", "t4", "--memory", "100MB")]
    public void What_cannot_be_planned_is_refused_in_one_line(int exitCode, string complaint, params string[] arguments)
    {
        Finished finished = GemmacoreProcess.Run(arguments).Expect(exitCode);
        Assert.Contains(complaint, finished.Error.Split('\n')[^1], StringComparison.Ordinal);
        Assert.Equal("", finished.Output);
    }

    private static JsonObject Roofline(params string[] arguments) => JsonNode.Parse(GemmacoreProcess.Run(arguments).Expect(0).Output)!["roofline"]!.AsObject();
}
