from transcodio_site.cli.main import main

main()
