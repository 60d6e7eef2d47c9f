using System.Text.Json.Nodes;
using GemmaCore.Training.Configuration;
using GemmaCore.Training.Planning;

namespace GemmaCore.Cli;

/// <summary>A plan as text and as JSON; without a roofline where the device's peaks are not known.</summary>
internal sealed record PlanReport(MemoryPlan Plan, AnsweringPlan Answering, string Device, PlanRoom Room, Roofline? Roofline)
{
    private long Driver => Room.DriverBytes;

    public void Write()
    {
        TrainingConfiguration settings = Plan.Configuration;
        LabelledLine.Write("device", Device);
        LabelledLine.Write("sample", $"{Plan.Sample.Tokens} tokens, {Plan.Sample.Images} pictures, {Plan.Sample.Targets} tokens in the loss");
        LabelledLine.Write("step", $"{settings.PerDeviceTrainBatchSize} x {settings.GradientAccumulationSteps} samples, {Math.Min(settings.PerDeviceTrainBatchSize, settings.SamplesAtOnce > 0 ? settings.SamplesAtOnce : int.MaxValue)} at once, gradient checkpointing {(settings.GradientCheckpointing ? "on" : "off")}, LoRA rank {settings.LoraRank}");
        Console.WriteLine("while training");
        foreach (PlanPart part in Plan.Parts.Where(part => part.Bytes > 0)) Line(part.Name, part.Bytes);
        Line("  of activations: loss chunk", Plan.LossChunkBytes);
        Line("in all", Plan.TrainingBytes);
        Line("before training (loading, encoding pictures)", Plan.PreparationBytes);
        if (Plan.MappedBytes > 0) Line("weights left in the mapped file", Plan.MappedBytes);
        if (Driver > 0) Line("driver and compiled kernels, about", Driver);
        Line("peak", Plan.PeakBytes + Driver);
        if (Room.Limit is { } limit) Line(Room.Label, limit);
        Console.WriteLine($"to answer in {Answering.Context} tokens");
        Line("weights", Answering.WeightBytes);
        Line("keys and values", Answering.CacheBytes);
        Line(Room.HoldsAnswer(Answering.PeakBytes) ? "peak" : "peak, which does not fit", Answering.PeakBytes + Driver);
        foreach (string line in Plan.GivenUp) Console.WriteLine($"given up: {line}");
        if (Roofline is not null) Roofline.Write();
        else Console.WriteLine($"no roofline: nothing is known of what {Device} can do; gemmacore bench measures it");
    }

    public JsonObject ToJson()
    {
        TrainingConfiguration settings = Plan.Configuration;
        return new JsonObject
        {
            ["device"] = Device,
            ["sample"] = new JsonObject { ["tokens"] = Plan.Sample.Tokens, ["images"] = Plan.Sample.Images, ["targets"] = Plan.Sample.Targets },
            ["settings"] = new JsonObject
            {
                ["per_device_train_batch_size"] = settings.PerDeviceTrainBatchSize, ["gradient_accumulation_steps"] = settings.GradientAccumulationSteps,
                ["samples_at_once"] = settings.SamplesAtOnce, ["gradient_checkpointing"] = settings.GradientCheckpointing, ["cache_image_features"] = settings.CacheImageFeatures,
                ["loss_chunk_rows"] = settings.LossChunkRows, ["optim"] = settings.Optim, ["lora_rank"] = settings.LoraRank,
            },
            ["parts"] = new JsonObject(Plan.Parts.Select(part => KeyValuePair.Create(part.Name, (JsonNode?)part.Bytes))),
            ["loss_chunk_bytes"] = Plan.LossChunkBytes,
            ["training_bytes"] = Plan.TrainingBytes,
            ["preparation_bytes"] = Plan.PreparationBytes,
            ["mapped_bytes"] = Plan.MappedBytes,
            ["driver_bytes"] = Driver,
            ["peak_bytes"] = Plan.PeakBytes + Driver,
            ["limit_bytes"] = Room.Limit,
            ["given_up"] = new JsonArray([.. Plan.GivenUp.Select(line => (JsonNode?)line)]),
            ["answering"] = new JsonObject
            {
                ["context"] = Answering.Context, ["weight_bytes"] = Answering.WeightBytes, ["kv_cache_bytes"] = Answering.CacheBytes,
                ["peak_bytes"] = Answering.PeakBytes + Driver, ["fits"] = Room.HoldsAnswer(Answering.PeakBytes),
            },
            ["roofline"] = Roofline?.ToJson(),
        };
    }

    private static void Line(string name, long bytes) => Console.WriteLine($"  {name,-48}{MemorySize.Format(bytes),12}");
}
