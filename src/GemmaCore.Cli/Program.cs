using System.CommandLine;
using GemmaCore.Cli;
using GemmaCore.Cli.Commands;

var root = new RootCommand("GemmaCore: answer questions about images with MedGemma, and fine-tune it, without Python.")
{
    DemoCommand.Create(),
    DoctorCommand.Create(),
    DownloadCommand.Create(),
    InitCommand.Create(),
    InfoCommand.Create(),
    GenerateCommand.Create(),
    ChatCommand.Create(),
    PlanCommand.Create(),
    TrainCommand.Create(),
    PredictCommand.Create(),
    EvalCommand.Create(),
    FlareCommand.Create(),
    ScrubCommand.Create(),
    BoxesCommand.Create(),
    MergeCommand.Create(),
    QuantizeCommand.Create(),
    ServeCommand.Create(),
    BenchCommand.Create(),
    VerifyCommand.Create(),
};
VerbHelp.Install(root);
return Edge.Run(root, args);
